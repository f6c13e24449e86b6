"""`--data A B C` is `--data A --data B --data C`."""

import pytest

from medshot.app.argv import WORDS, spread, typed


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        ("train x --data A B C --out R", "train x --data A --data B --data C --out R"),
        ("train --data A --data B x", "train --data A --data B --data x"),
        ("train x --data A --data B --steps 2", "train x --data A --data B --steps 2"),
        ("train x --data=A B --out R", "train x --data=A --data B --out R"),
        ("evaluate run --data A -- B", "evaluate run --data A -- B"),
        ("predict m A B --out f.csv", "predict m A B --out f.csv"),
        ("train x --data", "train x --data"),
        ("", ""),
    ],
)
def test_several_values_after_one_option(given: str, spelled: str) -> None:
    assert spread(given.split()) == spelled.split()


def test_the_command_is_repeated_as_typed_ready_to_paste() -> None:
    before = WORDS.set(("adapt", "my images", "--out", "m"))
    assert typed() == "medshot adapt 'my images' --out m"
    WORDS.reset(before)
