"""Several kinds of data from the folder to answers, by commands."""

from pathlib import Path

from medshot.core.predictor import load_predictor
from toys.commands import folder, table
from toys.fixtures import Medshot
from toys.tables import several

PROBE = ("--learner", "linear-probe", "--set", "encoder.width=8")


def test_adapt_predict_and_fuse(medshot: Medshot, tmp_path: Path) -> None:
    source, new = several(tmp_path / "a"), several(tmp_path / "new", n=8, seed=3)
    both, text = tmp_path / "both", tmp_path / "text"
    done = medshot("adapt", source, "--out", both, *PROBE)
    assert done.status == 0, done.err
    assert (both / "report.html").is_file()
    assert medshot("adapt", source, "--out", text, "--modalities", "text", *PROBE).status == 0
    assert load_predictor(text).known_card().preprocessing.kinds == ("text",)
    done = medshot("predict", both, new, "--out", tmp_path / "a.csv")
    assert done.status == 0, done.err
    rows = table(tmp_path / "a.csv")
    assert [Path(row["path"]).name for row in rows] == [str(i) for i in range(2, 10)]
    assert {row["prediction"] for row in rows} == {"sick", "well"}
    done = medshot("predict", text, new, "--out", tmp_path / "b.csv")
    assert done.status == 1
    assert "there is nothing in it of text" in done.err
    words = ("--learner", "prototypical", "--set", "encoder.width=8")
    assert medshot("adapt", source, "--out", tmp_path / "third", *words).status == 0
    fuse = ("fuse", both, tmp_path / "third", "--data", new, "--out", tmp_path / "fused")
    done = medshot(*fuse)
    assert done.status == 0, done.err


def test_models_that_read_other_kinds_cannot_be_fused(medshot: Medshot, tmp_path: Path) -> None:
    source = several(tmp_path / "a")
    for kind in ("text", "table"):
        words = ("--modalities", kind, "--out", tmp_path / kind, *PROBE)
        assert medshot("adapt", source, *words).status == 0
    words = ("--data", source, "--out", tmp_path / "f", "--how", "mean")
    done = medshot("fuse", tmp_path / "text", tmp_path / "table", *words)
    assert done.refused("read files in other ways")


def test_kinds_are_chosen_only_where_there_are_several(medshot: Medshot, tmp_path: Path) -> None:
    images = folder(tmp_path / "images", (4, 4))
    out = ("--out", tmp_path / "m", "--learner", "nearest-centroid", "--modalities", "image")
    assert medshot("adapt", images, *out).refused("images alone")
    source = several(tmp_path / "a")
    words = ("--out", tmp_path / "m", "--modalities", "image,sound")
    assert medshot("adapt", source, *words).refused("'sound'", "signal")
