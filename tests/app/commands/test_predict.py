"""`medshot predict`: a row an image, whatever happens to the others."""

from pathlib import Path

import pytest

from medshot.core.predictor import load_predictor
from toys.commands import folder, table
from toys.fixtures import Medshot


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return folder(tmp_path / "new", (3, 3), first=50)


def test_the_table_has_the_numbers_of_the_python_api(
    medshot: Medshot, model: Path, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "answers.csv"
    done = medshot("predict", model, images / "1-0.png", images, "--out", out)
    assert done.status == 0, done.err
    assert "6 of 6 images predicted" in done.out
    rows, predictor = table(out), load_predictor(model)
    assert list(rows[0]) == ["path", "prediction", "confidence", "p(bright)", "p(dark)"]
    assert [Path(row["path"]).name for row in rows] == [
        *("1-0.png", "0-0.png", "0-1.png", "0-2.png", "1-1.png", "1-2.png")
    ]
    for row in rows:
        odds = {name[2:-1]: float(p) for name, p in row.items() if name.startswith("p(")}
        assert sum(odds.values()) == pytest.approx(1, abs=2e-6)
        assert row["prediction"] == max(odds, key=odds.__getitem__)
        assert float(row["confidence"]) == max(odds.values())
        answer = predictor.predict(row["path"])
        assert row["prediction"] == answer.label
        assert odds == pytest.approx(answer.probabilities, abs=1e-6)


def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    medshot: Medshot, model: Path, images: Path, tmp_path: Path
) -> None:
    broken = images / "0-1.png"
    broken.write_bytes(broken.read_bytes()[:80])
    done = medshot("predict", model, images, "--out", tmp_path / "a.csv")
    assert done.status == 1
    assert "5 of 6 images predicted" in done.out
    assert str(broken) in done.err
    assert done.err.count("\n") == 1
    rows = {Path(row["path"]).name: row for row in table(tmp_path / "a.csv")}
    assert [n for n, row in rows.items() if not row["prediction"]] == ["0-1.png"]
    assert set(list(rows["0-1.png"].values())[1:]) == {""}


def test_what_is_not_there_is_one_sentence(
    medshot: Medshot, model: Path, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.csv"
    (tmp_path / "empty").mkdir()
    assert medshot("predict", model, tmp_path / "no.png", "--out", out).refused("does not exist")
    assert medshot("predict", model, tmp_path / "empty", "--out", out).refused("holds no image")
    assert medshot("predict", tmp_path / "no", images, "--out", out).refused("medshot adapt")
    assert not out.exists()
    out.write_text("mine")
    assert medshot("predict", model, images, "--out", out).refused("nothing is ever overwritten")
    assert out.read_text() == "mine"


@pytest.mark.parametrize("part", ["weights.safetensors", "predictor.json"])
def test_a_damaged_model_is_one_sentence_that_names_the_file(
    medshot: Medshot, model: Path, images: Path, tmp_path: Path, part: str
) -> None:
    copy = tmp_path / "model"
    copy.mkdir()
    for file in model.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / part).write_bytes((copy / part).read_bytes()[:50])
    assert medshot("predict", copy, images, "--out", tmp_path / "a.csv").refused(part)


def test_file_names_of_any_kind(
    medshot: Medshot, model: Path, images: Path, tmp_path: Path
) -> None:
    names = ("a, b.png", '"q".png', "two\nlines.png", "=cmd().png")
    for name in names:
        (tmp_path / "odd" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "odd" / name).write_bytes((images / "0-0.png").read_bytes())
    done = medshot("predict", model, tmp_path / "odd", "--out", tmp_path / "a.csv")
    assert done.status == 0, done.err
    assert sorted(Path(row["path"]).name for row in table(tmp_path / "a.csv")) == sorted(names)
