"""What a person reads, at 80 columns."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from rich.console import Console
from torch import nn

from medshot.api.episodes import EpisodeEvaluation
from medshot.app import terminal as terminal_module
from medshot.core.table import Table
from medshot.evaluation.episodes import EpisodeScores
from medshot.learners.registry import build
from medshot.tasks.classification import METRICS

Terminal = Callable[[int], io.StringIO]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of so many columns in place of standard output."""

    def of(columns: int) -> io.StringIO:
        seen = io.StringIO()
        options = {"highlight": False, "markup": False, "emoji": False, "color_system": None}
        made = Console(file=seen, force_terminal=True, width=columns, **options)
        monkeypatch.setattr(terminal_module, "console", made)
        return seen

    return of


def test_paragraphs_are_wrapped_between_words(terminal: Terminal) -> None:
    seen = terminal(40)
    terminal_module.say("one two three four five six seven eight nine ten", start="  - ")
    assert seen.getvalue() == "  - one two three four five six seven\n    eight nine ten\n"


def test_a_path_is_never_cut(terminal: Terminal) -> None:
    path = "/a/very-long/path/" + "x" * 50
    seen = terminal(40)
    terminal_module.say(f"in {path} there is nothing")
    terminal_module.tell(f"Next: medshot predict {path} NEW --out a.csv")
    assert path in seen.getvalue()
    assert f"Next: medshot predict {path} NEW --out a.csv\n" in seen.getvalue()


def test_a_program_gets_paragraphs_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal_module.say("word " * 60)
    assert capsys.readouterr().out.count("\n") == 1


def test_names_are_shown_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    terminal_module.say("[red]a[/red] :smile: \x1b[2J \udc80 b\nc é")
    assert capsys.readouterr().out == "[red]a[/red] :smile: \\x1b[2J \\udc80 b\\nc é\n"


def test_results_are_whole_at_80_columns(terminal: Terminal) -> None:
    rng = np.random.default_rng(0)
    names = "prototypical on conv4 (meta-trained)", "linear-probe on pixels"
    results = {
        name: EpisodeScores(
            name,
            {m: rng.random(9) for m in METRICS},
            {"count": 9, "fingerprint": "f"},
            transductive=name == names[1],
        )
        for name in names
    }
    seen = terminal(80)
    learner = build("lda", encoder=nn.Identity())
    terminal_module.show(EpisodeEvaluation("x 2-way", results, learner).table())
    text = seen.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    words = text.split()
    for result in results.values():
        for metric in METRICS:
            i = result.interval(metric)
            assert f"{100 * i.mean:.2f}" in words
            assert f"{100 * i.half:.2f}" in words
    first, second = (np.mean(results[name].scores["balanced accuracy"]) for name in names)
    minus = second - first
    assert f"{100 * minus:+.2f}" in words
    assert "(transductive)" in words


def test_an_interval_stays_on_one_line_where_names_can_be_folded(terminal: Terminal) -> None:
    seen = terminal(70)
    names = ("balanced accuracy", "sensitivity of ill")
    cells = ("91.2 [88.0, 94.1]", "90.1 [86.0, 93.9]", "-0.4 [-3.1, +2.2]")
    heads = ("", "linear-probe on conv4 (untrained)", "nearest-centroid on pixels", "difference")
    terminal_module.show(Table("", heads, tuple((name, *cells) for name in names)))
    lines = seen.getvalue().splitlines()
    assert sum(all(cell in line for cell in cells) for line in lines) == len(names)
    assert max(map(len, lines)) <= 70
    assert "(untrained)" in seen.getvalue()


def test_a_table_is_shown_under_its_caption_and_is_cut_where_it_is_long(terminal: Terminal) -> None:
    seen = terminal(80)
    table = Table("scores", ("", "mine"), (("accuracy", "0.500"), ("[red]AUROC", "1.000")))
    terminal_module.show(table, rows=1)
    assert seen.getvalue().splitlines()[0] == "scores"
    assert "0.500" in seen.getvalue()
    assert "1.000" not in seen.getvalue()
    assert "and 1 more" in seen.getvalue()
    terminal_module.show(table)
    assert "[red]AUROC" in seen.getvalue()


def test_bars_are_for_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(terminal_module.progress("x", range(3))) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_long_work_is_announced_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with terminal_module.busy("reading [/x]\x1b"):
        said = capsys.readouterr()
    assert (said.out, said.err) == ("", "reading [/x]\\x1b\n")


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_interval_is_cut_whatever_the_width(width: int, terminal: Terminal) -> None:
    seen, score = terminal(width), "0.291 [0.106, 0.589]"
    columns = ("", *(f"learner-{i} on some encoder" for i in range(4)))
    terminal_module.show(Table("", columns, (("mean surface distance (mm)", *[score] * 4),)))
    assert max(map(len, seen.getvalue().splitlines())) <= width
    for word in score.split():
        assert seen.getvalue().count(word) == 4
