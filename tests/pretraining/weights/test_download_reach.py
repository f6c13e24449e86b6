"""A server that listens is reached, one that does not is given up in time; proxies count."""

import socket
import time

import pytest

from medshot.pretraining.weights import download
from medshot.pretraining.weights.download import reachable


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "getproxies", dict)


def test_who_listens_is_reached_also_as_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert reachable(f"http://127.0.0.1:{port}")
        for proxy in (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"):
            monkeypatch.setattr(download, "getproxies", lambda proxy=proxy: {"https": proxy})
            assert reachable("https://hub.invalid")
    assert not reachable(f"http://127.0.0.1:{port}")


def test_who_does_not_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not reachable("https://hub.invalid:port")

    def slow(*_: object, **__: object) -> None:
        time.sleep(1)
        raise OSError

    monkeypatch.setattr(download.socket, "create_connection", slow)
    started = time.monotonic()
    assert not reachable("https://hub.invalid", seconds=0.1)
    assert time.monotonic() - started < 0.9
