"""What data sets, runs, adaptations and searches print, and draw in a notebook."""

from dataclasses import replace

import medshot
import toys
from toys.training import blobs


def test_a_data_set_is_a_line_and_a_table_of_its_classes():
    data = replace(toys.dataset(), name="<mine>", labels=("<i>", *toys.dataset().labels[1:]))
    said = str(data)
    assert said.startswith(f"<mine>: {len(data)} images (1 x 16 x 16)")
    assert "\n" not in said
    assert "<mine>" not in data._repr_html_()
    assert "&lt;i&gt;" in data._repr_html_()


def test_an_adaptation_is_its_summary_and_draws_its_scores():
    done = medshot.adapt(toys.dataset(), medshot.build("lda", encoder=toys.conv4()))
    assert str(done) == done.report.summary
    assert "<td>balanced accuracy</td>" in done._repr_html_()
    assert "balanced accuracy" in str(done.report)


def test_a_run_says_where_it_learned(tmp_path):
    learner = medshot.build("prototypical", encoder=toys.conv4())
    few = {"way": 3, "shot": 1, "query": 1, "steps": 2, "val_every": 1, "val_episodes": 1}
    run = medshot.train(learner, blobs(), out=tmp_path / "run", **few)
    first, heads, *_ = str(run).splitlines()
    assert first.startswith(f"{tmp_path / 'run'}: prototypical on conv4, meta-trained on")
    assert "val_loss" in heads
    assert "<table>" in medshot.load_run(tmp_path / "run")._repr_html_()
    assert medshot.bibtex(run) == medshot.bibtex(str(tmp_path / "run"))


def test_objects_are_cited_as_their_folders_are(tmp_path):
    predictor = medshot.build("lda", encoder=toys.conv4()).adapt(toys.dataset())
    place = predictor.save(tmp_path / "model")
    assert medshot.bibtex(predictor) == medshot.bibtex(place)
    both = medshot.bibtex("maml", "lda", predictor)
    assert both.count("finn2017") == 1
    assert "friedman1989" in both
