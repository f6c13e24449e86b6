"""`medshot adapt`: a model folder and a report, or one sentence."""

import errno
import json
from pathlib import Path

import pytest

from medshot.core.predictor import load_predictor
from toys.commands import SMALL, TRAIN, command, folder
from toys.fixtures import Medshot

FILES = ["README.md", "predictor.json", "report.html", "weights.safetensors"]
QUICK = ("--learner", "nearest-centroid", *SMALL)


def _left(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_auto_says_what_it_chose_and_how_well_beside_the_baseline(
    medshot: Medshot, tmp_path: Path
) -> None:
    done = medshot("adapt", folder(tmp_path / "mine"), "--out", tmp_path / "model")
    assert done.status == 0, done.err
    assert _left(tmp_path / "model") == FILES
    assert "of 3 candidates, auto chose" in " ".join(done.out.split())
    assert "linear probe" in done.out
    assert "balanced accuracy" in done.out
    assert f"Next:       medshot predict {tmp_path / 'model'} NEW_IMAGES" in done.out
    page = (tmp_path / "model" / "report.html").read_text()
    assert "auto chose" in page
    assert f"medshot adapt {tmp_path / 'mine'}" in page


def test_the_same_folder_gives_the_same_predictor(medshot: Medshot, tmp_path: Path) -> None:
    mine = folder(tmp_path / "mine")
    for name in ("a", "b"):
        assert medshot("adapt", mine, "--out", tmp_path / name, *QUICK).status == 0
    first, second = (json.loads((tmp_path / n / "predictor.json").read_text()) for n in ("a", "b"))
    assert first["sha256"] == second["sha256"]


@pytest.mark.parametrize(
    ("counts", "patients", "measured"),
    [
        ((6, 1), None, False),
        ((1, 1, 1), None, False),
        ((3, 3), (["p"] * 3, ["q"] * 3), False),
        ((2, 14), None, True),
        ((4, 4), (["a", "a", "b", "b"], ["c", "c", "d", "e"]), True),
        ((4, 4), (["a", "a", "b", "b"], ["a", "a", "b", "b"]), True),
    ],
    ids=["one-image", "one-each", "one-patient-each", "unequal", "patients", "patients-in-both"],
)
def test_auto_copes_with_what_there_is(
    medshot: Medshot,
    tmp_path: Path,
    counts: tuple[int, ...],
    patients: tuple[list[str], ...] | None,
    measured: bool,
) -> None:
    mine = folder(tmp_path / "mine", counts, patients=patients)
    done = medshot("adapt", mine, "--out", tmp_path / "model")
    assert done.status == 0, done.err
    assert ("could not be measured" in done.out) is not measured
    assert ("has not been measured" in done.out) is not measured
    assert ("very unequal" in done.out) is (max(counts) > 3 * min(counts))
    assert len(load_predictor(tmp_path / "model").known_card().labels) == len(counts)


def test_hostile_names_are_text_everywhere(medshot: Medshot, tmp_path: Path) -> None:
    labels = ("<script>alert(1)</script>", '=cmd|"/c, x"!A0', "[/red] :smile: \x1b[2J")
    mine = folder(tmp_path / "mine", (2, 2, 2), labels=labels)
    done = medshot("adapt", mine, "--out", tmp_path / "model", *QUICK)
    assert done.status == 0, done.err
    assert "[/red] :smile:" in done.out
    assert "\x1b" not in done.out
    page = (tmp_path / "model" / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert medshot("predict", tmp_path / "model", mine, "--out", tmp_path / "a.csv").status == 0
    text = (tmp_path / "a.csv").read_text()
    assert "\n=" not in text
    assert ",=" not in text
    assert ',"=' not in text


def test_nothing_stays_when_the_report_cannot_be_written(
    medshot: Medshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("medshot.api.adapt.write_report", full)
    mine = folder(tmp_path / "mine", (3, 3))
    ended = medshot("adapt", mine, "--out", tmp_path / "models" / "one", *QUICK)
    assert ended.refused("No space left on device", "models/one")
    assert _left(tmp_path) == ["mine"]


def test_a_place_that_is_closed_or_taken_is_said_before_the_images_are_read(
    medshot: Medshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    assert medshot("adapt", "nowhere", "--out", tmp_path / "taken", *QUICK).refused(
        "exists already"
    )
    assert _left(tmp_path / "taken") == ["thesis.txt"]

    def refuse(**_: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("medshot.core.atomic.tempfile.mkdtemp", refuse)
    closed = medshot("adapt", "nowhere", "--out", tmp_path / "closed", *QUICK)
    assert closed.refused("Permission denied", "where you may write")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--learner", "linear-prob"), "Did you mean 'linear-probe'"),
        (("--learner", "lda", "--encoder", "conv5"), "Did you mean 'conv4'"),
        (("--learner", "lda", "--set", "shrinkag=1"), "Did you mean 'shrinkage'"),
        (("--learner", "lda", "--set", "shrinkage=2"), "must be above 0"),
        (("--set", "c=1"), "auto chooses"),
    ],
)
def test_a_wrong_word_is_one_sentence(
    medshot: Medshot, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    assert medshot("adapt", tmp_path / "no", "--out", tmp_path / "model", *words).refused(told)
    assert _left(tmp_path) == []


def test_a_truncated_image_is_named(medshot: Medshot, tmp_path: Path) -> None:
    mine = folder(tmp_path / "mine", (3, 3))
    file = mine / "1-2.png"
    file.write_bytes(file.read_bytes()[:100])
    assert medshot("adapt", mine, "--out", tmp_path / "model", *QUICK).refused("1-2.png")
    assert _left(tmp_path) == ["mine"]


def test_a_transductive_learner_is_refused_before_the_work(
    medshot: Medshot, tmp_path: Path
) -> None:
    ended = medshot("adapt", "nowhere", "--learner", "tim", "--out", tmp_path / "model")
    assert ended.refused("tim is transductive")
    assert _left(tmp_path) == []


def test_a_transductive_run_is_refused_before_the_work(
    medshot: Medshot, tmp_path: Path, taught: Path
) -> None:
    out = tmp_path / "run"
    norm = ("--set", "encoder.norm=transductive")
    assert (
        command("train", "prototypical", "--data", taught, "--out", out, *SMALL, *TRAIN, *norm) == 0
    )
    ended = medshot("adapt", "nowhere", "--learner", out, "--out", tmp_path / "model")
    assert ended.refused("encoder.norm=group")
