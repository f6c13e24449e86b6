"""What there is to choose from."""

from pathlib import Path

import pytest

import medshot
from medshot.api.catalog import STAGES, WAYS, _parts, bibtex, entry
from medshot.core.errors import ConfigError
from medshot.core.registry import PARTS, import_files
from medshot.learners.registry import build, learners
from medshot.pretraining import objectives, save_encoder
from medshot.stages.finetune.finetune import finetune
from medshot.stages.finetune.methods import methods
from medshot.training.train import train
from toys import conv4
from toys import dataset as toy_dataset
from toys.fixtures import Medshot
from toys.training import blobs


def test_learners_by_task():
    every, masks = medshot.list_learners(), medshot.list_learners("segmentation")
    assert "prototypical" in masks
    assert 0 < len(masks) < len(every)
    assert all("segmentation" in entry.tasks for entry in masks)
    assert "baseline" in every["lda"].remarks
    assert "arXiv:1703.05175" in str(every)
    with pytest.raises(ConfigError, match="Did you mean 'segmentation'"):
        medshot.list_learners("segmentatoin")
    with pytest.raises(ConfigError, match="Did you mean 'maml'"):
        every["mamll"]


def test_encoders():
    found = medshot.list_encoders()
    assert found["unet"].tasks == ("each pixel",)
    assert "width=" in found["conv4"].options
    assert "<td>mobilenet</td>" in found._repr_html_()


# BibTeX of exactly the methods used.


@pytest.mark.parametrize("name", list(learners()))
def test_every_learner_has_a_stored_entry_for_each_of_its_sources(name: str) -> None:
    parts = _parts(learners()[name].source)
    assert parts
    for part in parts:
        found = entry(part)
        assert "title = {" in found, f"add {part} to references.bib"
        assert part.split()[0].strip(",") in found


def test_a_run_cites_learner_encoder_normalisation_and_optimizer(tmp_path: Path) -> None:
    learner = build("anil", encoder=conv4())
    train(learner, blobs(), out=tmp_path / "run", way=3, shot=1, query=1, steps=1, val_episodes=1)
    found = bibtex(str(tmp_path / "run"))
    for key in ("medshot", "raghu2020", "vinyals2016", "wu2018", "kingma2015"):
        assert f"{{{key},\n" in found
    assert found.count("@") == 5


def test_a_model_of_an_untrained_learner_was_not_optimized(tmp_path: Path) -> None:
    predictor = build("lda", encoder=conv4()).adapt(toy_dataset())
    found = bibtex(str(predictor.save(tmp_path / "model")))
    for key in ("medshot", "friedman1989", "ledoit2004", "vinyals2016", "wu2018"):
        assert f"{{{key},\n" in found
    assert "kingma2015" not in found


@pytest.mark.parametrize("source", [*STAGES.values(), *WAYS.values()])
def test_what_stages_are_from_is_stored(source: str) -> None:
    for part in _parts(source):
        assert "title = {" in entry(part), f"add {part} to references.bib"


def test_a_model_cites_what_was_done_to_it(tmp_path: Path) -> None:
    model = build("nearest-centroid", encoder=conv4()).adapt(toy_dataset())
    card = model.known_card().after("harden", attack="pgd").after("fuse", how="stack")
    model.with_card(card.after("quantise", to="int8")).save(tmp_path / "model")
    found = bibtex(str(tmp_path / "model"))
    for key in ("madry2018", "wolpert1992", "jacob2018"):
        assert f"{{{key},\n" in found


def test_a_stage_is_cited_from_a_stored_entry(tmp_path: Path) -> None:
    card = build("lda", encoder=conv4()).adapt(toy_dataset())
    for name, way in methods().items():
        tuned = finetune(card, toy_dataset(), name, steps=0)
        found = bibtex(str(tuned.save(tmp_path / name)))
        assert entry(way.source) in found
        assert "title = {" in entry(way.source), f"add {way.source} to references.bib"


@pytest.mark.parametrize("name", list(objectives()))
def test_an_encoder_cites_the_objective_that_it_learned_by(tmp_path: Path, name: str) -> None:
    encoder = conv4()
    encoder.about = {"settings": {"objective": name}}
    found = bibtex(str(save_encoder(encoder, tmp_path / "encoder")))
    for part in _parts(objectives()[name].source):
        assert "title = {" in entry(part), f"add {part} to references.bib"
        assert entry(part) in found
    assert "vinyals2016" in found
    assert "kingma2015" in found


@pytest.mark.parametrize("name", ["mobilenet", "monai", "timm"])
def test_networks_of_others_have_entries(name: str) -> None:
    import_files("medshot.nn")
    for part in _parts(PARTS[f"encoder/{name}"].source):
        assert "title = {" in entry(part), f"add {part} to references.bib"


def test_a_source_that_is_not_stored_still_has_an_entry() -> None:
    found = entry("Nobody & Else 2031, arXiv:3101.00001")
    assert found.startswith("@misc{nobody2031,")
    assert "eprint = {3101.00001}" in found


def test_what_is_no_learner_and_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'maml'"):
        bibtex("mmaml")
    with pytest.raises(ConfigError, match="neither a run nor a saved model"):
        bibtex(str(tmp_path))


def test_the_command_prints_it(medshot: Medshot) -> None:
    done = medshot("cite", "maml")
    assert done.status == 0
    assert "\n@inproceedings{finn2017,\n  author = " in done.out
