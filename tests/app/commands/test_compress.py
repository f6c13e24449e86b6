"""`medshot compress`: a smaller model beside the original, a table, or one sentence."""

import json
from pathlib import Path

import pytest

from medshot.core.predictor import load_predictor
from toys.commands import command, folder, picture
from toys.fixtures import Medshot

FILES = ["README.md", "predictor.json", "tensorboard", "weights.safetensors"]
ENCODER = ("--encoder", "conv4", "--set", "encoder.width=16", "--set", "encoder.size=16")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, what it learned from, and images of others."""
    place = tmp_path_factory.mktemp("compress")
    folder(place / "mine", (6, 6))
    folder(place / "others", (4, 4), first=50)
    made = ("adapt", place / "mine", "--out", place / "model", "--learner", "linear-probe")
    assert command(*made, *ENCODER) == 0
    return place


def test_both_in_a_chain_beside_each_alone(medshot: Medshot, place: Path, tmp_path: Path) -> None:
    before = {p.name: p.read_bytes() for p in (place / "model").iterdir()}
    done = medshot(
        *("compress", place / "model", "--data", place / "mine", "--test", place / "others"),
        *("--prune", "0.5", "--distil", "small", "--steps", "3"),
        *("--out", tmp_path / "small", "--json", tmp_path / "numbers.json"),
    )
    assert done.status == 0, done.err
    assert sorted(p.name for p in (tmp_path / "small").iterdir()) == FILES
    assert not (tmp_path / "small.unfinished").exists()
    small = load_predictor(tmp_path / "small")
    assert [s["stage"] for s in small.card.stages] == ["distil", "prune"]
    said = json.loads((tmp_path / "numbers.json").read_text())
    names = ["original", "distil small", "prune 0.5", "distil small, prune 0.5"]
    assert list(said["costs"]) == list(said["scores"]) == names
    size = {name: cost["megabytes"] for name, cost in said["costs"].items()}
    assert size[names[3]] < min(size[names[1]], size[names[2]]) < size["original"]
    assert all(name in done.out for name in names)
    assert {p.name: p.read_bytes() for p in (place / "model").iterdir()} == before


def test_without_labels_it_learns_and_is_judged_on_others(
    medshot: Medshot, place: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for i in range(6):
        picture(i % 2, i).save(plain / f"{i}.png")
    words = ("compress", place / "model", "--data", plain, "--prune", "0.5", "--steps", "2")
    refused = medshot(*words, "--out", tmp_path / "out")
    assert refused.refused("has no labels.*give --test")
    done = medshot(*words, "--out", tmp_path / "out", "--test", place / "others")
    assert done.status == 0, done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Say how to compress"),
        (("--prune", "1"), "nothing would be left"),
        (("--prune", "0.01", "--steps", "1"), "takes no channel"),
        (("--distil", "tiny"), "no width"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(
    medshot: Medshot, place: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    model = place / "model"
    if "tiny" in words:
        model = tmp_path / "narrow"
        narrow = ("--encoder", "conv4", "--set", "encoder.width=8", "--set", "encoder.size=16")
        made = ("adapt", place / "mine", "--out", model, "--learner", "linear-probe")
        assert command(*made, *narrow) == 0
    done = medshot("compress", model, "--data", place / "mine", "--out", tmp_path / "o", *words)
    assert done.refused(said)
    assert not (tmp_path / "o").exists()


def test_other_images_are_refused(medshot: Medshot, place: Path, tmp_path: Path) -> None:
    words = ("compress", place / "model", "--prune", "0.5", "--out", tmp_path / "o", "--data")
    other = folder(tmp_path / "other", (2, 2), labels=("cat", "dog"))
    assert medshot(*words, other).refused("labels cat, dog", "bright, dark")
    plain = tmp_path / "one"
    plain.mkdir()
    picture(0, 0).save(plain / "0.png")
    done = medshot(*words, plain, "--test", place / "others")
    assert done.refused("1 image to learn from")
    assert medshot(*words, tmp_path / "nowhere").refused("nowhere")
    missing = medshot("compress", tmp_path / "no", *words[2:], place / "mine")
    assert missing.refused("no")
    taken = medshot(*words[:4], "--out", place / "model", "--data", place / "mine")
    assert taken.refused("exists already")


def test_what_was_cut_short_goes_on(
    medshot: Medshot, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("compress", place / "model", "--data", place / "mine", "--prune", "0.5")
    words = (*words, "--steps", "4", "--out", tmp_path / "small")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("medshot.api.compress.costs", full)
        cut_short = medshot(*words)
    assert cut_short.status == 2
    assert "No space left" in cut_short.err
    assert [p.name for p in tmp_path.iterdir()] == ["small.unfinished"]
    other = medshot(*words[:-4], "--steps", "5", "--out", tmp_path / "small")
    assert other.refused("begun with another steps")
    assert medshot(*words).status == 0
    assert [p.name for p in tmp_path.iterdir()] == ["small"]
