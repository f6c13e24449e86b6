"""`--data A B C` as people type it: several values after one option."""

from collections.abc import Sequence

SEVERAL = ("--data",)


def spread(argv: Sequence[str]) -> list[str]:
    """Repeat an option of `SEVERAL` before each of its values: `--data A --data B --data C`."""
    found: list[str] = []
    current = ""
    for word in argv:
        if word.startswith("-"):
            current = word if word in SEVERAL else ""
            found.append(word)
        elif current and found[-1] != current:
            found += [current, word]
        else:
            found.append(word)
    return found
