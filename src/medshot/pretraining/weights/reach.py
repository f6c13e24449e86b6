"""Whether a server can be reached, told in two seconds: libraries that fetch try for a minute."""

import socket
import threading
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

PORTS = {"https": 443, "http": 80}


def reachable(address: str, seconds: float = 2.0) -> bool:
    """Whether the server of `address`, or the proxy before it, takes a connection in time."""
    server = urlsplit(address)
    proxy = getproxies().get(server.scheme)
    if proxy and not proxy_bypass(server.hostname or ""):
        server = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    try:
        place = server.hostname or "", server.port or PORTS.get(server.scheme, 443)
    except ValueError:  # a port that is no number
        return False
    done: list[bool] = []

    def connect() -> None:
        try:
            socket.create_connection(place, timeout=seconds).close()
        except OSError:
            return
        done.append(True)

    waiting = threading.Thread(target=connect, daemon=True)  # to find a name can take longer
    waiting.start()
    waiting.join(seconds)
    return bool(done)
