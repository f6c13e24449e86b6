"""One new file is one new objective: the table is what the folder holds."""

from medshot.pretraining import objectives


def test_the_four_are_found_without_a_list() -> None:
    assert list(objectives()) == ["colourise", "contrast", "reconstruct", "supervise"]
    assert all(kind.source and kind.__doc__ for kind in objectives().values())
