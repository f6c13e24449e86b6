"""What a person reads, at 80 columns."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from rich.console import Console

from medshot.app import render
from medshot.evaluation.episodes import Result
from medshot.evaluation.report import Estimate, MetricRow, MetricsTable
from medshot.tasks.classification import METRICS
from medshot.training.progress import busy, progress

Terminal = Callable[[int], io.StringIO]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of so many columns in place of standard output."""

    def of(columns: int) -> io.StringIO:
        seen = io.StringIO()
        options = {"highlight": False, "markup": False, "emoji": False, "color_system": None}
        made = Console(file=seen, force_terminal=True, width=columns, **options)
        monkeypatch.setattr(render, "console", made)
        return seen

    return of


def test_paragraphs_are_wrapped_between_words(terminal: Terminal) -> None:
    seen = terminal(40)
    render.say("one two three four five six seven eight nine ten", start="  - ")
    assert seen.getvalue() == "  - one two three four five six seven\n    eight nine ten\n"


def test_a_path_is_never_cut(terminal: Terminal) -> None:
    path = "/a/very-long/path/" + "x" * 50
    seen = terminal(40)
    render.say(f"in {path} there is nothing")
    render.tell(f"Next: medshot predict {path} NEW --out a.csv")
    assert path in seen.getvalue()
    assert f"Next: medshot predict {path} NEW --out a.csv\n" in seen.getvalue()


def test_a_program_gets_paragraphs_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    render.say("word " * 60)
    assert capsys.readouterr().out.count("\n") == 1


def test_names_are_shown_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    render.say("[red]a[/red] :smile: \x1b[2J \udc80 b\nc é")
    assert capsys.readouterr().out == "[red]a[/red] :smile: \\x1b[2J \\udc80 b\\nc é\n"


def test_results_are_whole_at_80_columns(terminal: Terminal) -> None:
    rng = np.random.default_rng(0)
    names = "prototypical on conv4 (meta-trained)", "linear-probe on pixels"
    results = {
        name: Result(name, {m: rng.random(9) for m in METRICS}, {}, transductive=name == names[1])
        for name in names
    }
    seen = terminal(80)
    render.console.print(render.results_table(results, "x 2-way: 9 episodes"))
    text = seen.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    words = text.split()
    for result in results.values():
        for metric in METRICS:
            i = result.interval(metric)
            assert f"{100 * i.mean:.2f}" in words
            assert f"{100 * i.half:.2f}" in words
    minus = np.mean(results[names[0]].scores["balanced accuracy"]) - np.mean(
        results[names[1]].scores["balanced accuracy"]
    )
    assert f"{100 * minus:+.2f}" in words
    assert "(transductive)" in words


def test_scores_have_their_intervals(terminal: Terminal) -> None:
    estimates = (Estimate(0.5, 0.25, 0.75, 9), Estimate(1.0, 1.0, 1.0, 9))
    seen = terminal(80)
    table = MetricsTable(("auto", "linear-probe on pixels"), (MetricRow("accuracy", estimates),))
    render.console.print(render.scores_table(table))
    assert "0.500 [0.250, 0.750]" in seen.getvalue()
    assert "1.000 [1.000, 1.000]" in seen.getvalue()


def test_bars_are_for_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress("x", range(3))) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_long_work_is_announced_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with busy("reading [/x]\x1b"):
        said = capsys.readouterr()
    assert (said.out, said.err) == ("", "reading [/x]\\x1b\n")
