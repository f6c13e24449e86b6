"""Folders of volumes with masks: from files to a data set, to a predictor, and back to files."""

import csv
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

import medshot
from medshot.core.errors import DataError, LeakError, ShapeError, TaskError
from medshot.data.augment import Shifted
from medshot.data.episodes import ImageEpisodes
from medshot.data.readers.registry import kind_of
from medshot.evaluation.cross_validation import cross_validate
from medshot.evaluation.episodes import evaluate
from medshot.presenters.segmentation import MaskAnswers


def write_volumes(
    folder: Path, n: int = 4, spacing: tuple[float, ...] = (1.0, 1.0, 2.0)
) -> list[Path]:
    """Noise with a bright box in it, of another shape and place each; the mask marks the box."""
    rng, paths = np.random.default_rng(0), []
    for i in range(n):
        shape = (16 + i, 14, 12)
        mask = np.zeros(shape, np.uint8)
        mask[4 + i : 10 + i, 4:9, 3:8] = 1
        values = (rng.normal(size=shape) * 20 + 300.0 * mask - 100).astype(np.float32)
        affine = np.diag([*(np.array(spacing) * (1 + 0.5 * (i == n - 1))), 1.0])
        paths.append(folder / f"{i}.nii.gz")
        for array, path in ((values, paths[-1]), (mask, folder / f"{i}_mask.nii.gz")):
            nibabel.save(nibabel.Nifti1Image(array, affine), path)
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = [[p.name, f"{i}_mask.nii.gz", f"p{i}"] for i, p in enumerate(paths)]
        csv.writer(file).writerows([["path", "mask", "patient"], *rows])
    return paths


def test_volumes_of_unlike_shape_and_spacing_become_one_tensor(tmp_path: Path):
    write_volumes(tmp_path)
    assert kind_of(tmp_path) == kind_of(tmp_path, "segmentation") == "segmentation-3d"
    data = medshot.load(tmp_path)
    assert data.labels == ("background", "foreground")
    assert data.preprocessing.spacing == (2.0, 1.0, 1.0)  # z, y, x: the median
    assert data.x.shape[:2] == (4, 1)
    assert data.x.dtype == torch.uint8
    beyond = data.y == -1
    assert beyond.any()
    assert not data.x[:, 0][beyond].any()
    inside = data.x[:, 0].double()
    assert inside[data.y == 1].mean() > 2 * inside[data.y == 0].mean()


def test_a_probe_learns_from_volumes_and_writes_masks_on_their_grids(tmp_path: Path):
    folder, out = tmp_path / "data", tmp_path / "out"
    folder.mkdir()
    paths = write_volumes(folder, spacing=(-1.0, 1.0, 2.0))  # stored from left to right
    data = medshot.load(folder)
    learner = medshot.build("linear-probe", encoder=medshot.encoder("filters3d", scales=[1.0]))
    predictor = learner.adapt(data)
    predictor.save(tmp_path / "model")
    again = medshot.load_predictor(tmp_path / "model")
    answers = MaskAnswers(out, data.labels)
    for path in paths:
        answers.add(again.predict(path))
    answers.close()
    for path in paths:
        ours, truth = (nibabel.load(f) for f in (out / path.name, str(path)[:-7] + "_mask.nii.gz"))
        assert ours.shape == truth.shape
        np.testing.assert_allclose(ours.affine, truth.affine)
        a, b = np.asarray(ours.dataobj) > 0, np.asarray(truth.dataobj) > 0
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.9
        with Image.open(out / "overlays" / f"{path.name[:-7]}.png") as image:
            assert len(image.getcolors(2**20)) > 9
    # in Python: in the order of the file, as nibabel gives it, and written again so
    found = again.predict(paths[1])
    np.testing.assert_array_equal(found.mask, nibabel.load(out / paths[1].name).get_fdata())
    medshot.write_nifti_mask(found, medshot.read_volume(paths[1]), tmp_path / "again.nii.gz")
    written = nibabel.load(tmp_path / "again.nii.gz").get_fdata()
    np.testing.assert_array_equal(written, found.mask)


def test_classes_are_called_by_a_file_of_the_folder(folder: Path):
    (folder / "classes.csv").write_text("number,name\n1,vessel\n2,not there\n")
    data = medshot.load(folder)
    assert data.labels == ("background", "vessel")
    (folder / "classes.csv").write_text("number,name\n255,nerve\n")  # as in the white masks
    assert medshot.load(folder).labels == ("background", "nerve")


def test_episodes_score_whole_volumes(tmp_path: Path):
    write_volumes(tmp_path)
    data = medshot.load(tmp_path)
    learner = medshot.build("linear-probe", encoder=medshot.encoder("filters3d", scales=[1.0]))
    found = evaluate(learner, ImageEpisodes(data, shot=2, query=2), episodes=2)
    assert 0.9 < found.scores["Dice"].mean() <= 1


def test_a_network_for_images_is_refused(tmp_path: Path):
    write_volumes(tmp_path)
    data = medshot.load(tmp_path)
    with pytest.raises(DataError, match="unet3d"):
        medshot.build("linear-probe", encoder=medshot.encoder("filters")).adapt(data)
    with pytest.raises(DataError, match="leave the size out"):
        medshot.load(tmp_path, size=64)
    with pytest.raises(ShapeError, match="volumes"):
        medshot.encoder("unet3d")(torch.rand(1, 3, 16, 16))


def test_a_mask_of_another_grid_is_named(tmp_path: Path):
    write_volumes(tmp_path)
    whole = nibabel.load(tmp_path / "0_mask.nii.gz")
    cut = nibabel.Nifti1Image(np.asarray(whole.dataobj)[:-1], whole.affine)
    nibabel.save(cut, tmp_path / "0_mask.nii.gz")
    with pytest.raises(DataError, match=r"0_mask.*voxels"):
        medshot.load(tmp_path)


# Folders of images with masks: what is loaded, in which form, and what is refused.


@pytest.fixture
def folder(tmp_path):
    """Four images of 12 x 10 pixels, a bright square marked on each; two patients."""
    rng = np.random.default_rng(0)
    lines = ["path,mask,patient"]
    for i in range(4):
        pixels = rng.integers(0, 100, (12, 10, 3), dtype=np.uint8)
        mask = np.zeros((12, 10), dtype=np.uint8)
        mask[2 + i : 6 + i, 3:8] = 1
        pixels[mask > 0] += 120
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        Image.fromarray(mask * 255).save(tmp_path / f"{i}_mask.png")
        lines.append(f"{i}.png,{i}_mask.png,p{i % 2}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_a_column_of_masks_makes_it_segmentation(folder):
    found = medshot.load(folder, size=16)
    assert (tuple(found.x.shape), tuple(found.y.shape)) == ((4, 3, 16, 16), (4, 16, 16))
    assert found.labels == ("background", "foreground")
    assert found.counts() == {"background": 4, "foreground": 4}
    assert found.groups.tolist() == [0, 1, 0, 1]
    assert found.task == medshot.Segmentation(2)
    examples = found.examples(torch.tensor([2]))
    assert examples.y.dtype == torch.int64
    bright = examples.x[0].mean(0)
    assert bright[examples.y[0] == 1].mean() > bright[examples.y[0] == 0].mean() + 0.3


def test_another_form_is_read_from_the_files_and_without_files_resized(folder):
    found = medshot.load(folder, size=16)
    assert found.at(3, 16) is found
    other = found.at(1, 32)
    assert (tuple(other.x.shape), tuple(other.y.shape)) == ((4, 1, 32, 32), (4, 32, 32))
    torch.testing.assert_close(other.y, medshot.load(folder, channels=1, size=32).y)
    bare = replace(found, rows=()).at(3, 32)
    assert (bare.y == found.y.repeat_interleave(2, 1).repeat_interleave(2, 2)).all()


def test_with_labels_too_one_says_what_is_meant(folder):
    table = folder / "labels.csv"
    lines = table.read_text().splitlines()
    table.write_text(
        "\n".join([lines[0] + ",label", *(f"{x},{i % 2}" for i, x in enumerate(lines[1:]))])
    )
    assert medshot.load(folder).y.ndim == 1
    assert medshot.load(folder, task="segmentation").y.ndim == 3
    with pytest.raises(medshot.MedshotError, match="segmentatio"):
        medshot.load(folder, task="segmentaton")


def test_a_mask_of_another_size_is_refused_with_both_sizes(folder):
    Image.fromarray(np.zeros((5, 10), dtype=np.uint8)).save(folder / "1_mask.png")
    with pytest.raises(DataError, match=r"1_mask\.png .*line 3.*5 x 10.*12 x 10"):
        medshot.load(folder)


def test_masks_that_mark_nothing_cannot_teach(folder):
    for i in range(4):
        Image.fromarray(np.zeros((12, 10), dtype=np.uint8)).save(folder / f"{i}_mask.png")
    learner = medshot.build("ridge", encoder=medshot.encoder("unet", size=16, depth=1))
    with pytest.raises(DataError, match="only one class"):
        learner.adapt(medshot.load(folder))


@pytest.mark.parametrize(
    ("cell", "said"), [("", "mask is empty"), ("../x.png", "outside of the folder")]
)
def test_a_row_without_a_mask_in_the_folder_is_refused(folder, cell, said):
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace("2_mask.png", cell))
    with pytest.raises(DataError, match=f"line 4.*{said}"):
        medshot.load(folder)


def test_adapt_save_load_predict_on_the_grid_of_the_file(folder, tmp_path):
    data = medshot.load(folder)
    encoder = medshot.encoder("unet", size=32, width=8, depth=1)
    predictor = medshot.build("prototypical", encoder=encoder).adapt(data)
    predictor.save(tmp_path / "model")
    found = medshot.load_predictor(tmp_path / "model").predict(folder / "1.png")
    assert isinstance(found, medshot.MaskPrediction)
    x = predictor.known_card().preprocessing.read(folder / "1.png")
    odds = predictor(x[None]).softmax(1)
    spread = torch.nn.functional.interpolate(odds, (12, 10), mode="bilinear", antialias=True)
    np.testing.assert_array_equal(found.mask, spread[0].argmax(0).numpy())
    assert 0 < found.shares()["foreground"] < 1
    assert found.shares()["foreground"] == pytest.approx((found.mask > 0).mean())


def test_a_small_mark_is_a_class_also_where_a_small_form_loses_it(folder):
    path = folder / "0_mask.png"
    mask = np.array(Image.open(path)) // 255
    mask[0, 1] = 2
    for i in range(4):
        Image.fromarray(mask).save(folder / f"{i}_mask.png")
    found = medshot.load(folder, size=4)
    assert found.labels == ("background", "1", "2")
    assert found.counts()["2"] == 0
    with pytest.raises(DataError, match="2 are on no image"):
        medshot.ImageEpisodes(found, shot=1)
    assert medshot.ImageEpisodes(found.at(3, 16), shot=1).episode(0).task.n_outputs == 3


def test_of_one_image_with_two_masks_the_first_is_kept_and_a_note_says_so(folder):
    (folder / "3.png").write_bytes((folder / "0.png").read_bytes())
    found = medshot.load(folder)
    assert len(found) == 3
    assert "3.png is the same image as 0.png, with another mask: left out." in found.notes


def test_a_row_twice_is_refused(folder):
    table = folder / "labels.csv"
    table.write_text(table.read_text() + "0.png,1_mask.png,p0\n")
    with pytest.raises(DataError, match="with a mask each"):
        medshot.load(folder)


def test_masks_are_split_by_patient_and_not_by_class(folder):
    data = medshot.load(folder, size=16)
    first, second = medshot.split_patients(data, 0.5)
    assert not set(first.groups.tolist()) & set(second.groups.tolist())
    assert len(first) + len(second) == 4
    with pytest.raises(DataError, match="by patient, not by class"):
        medshot.split_classes(data)


def test_what_is_for_labels_refuses_masks_in_words(folder):
    data = medshot.load(folder, size=16)
    episodes = medshot.ImageEpisodes(data, shot=1)
    with pytest.raises(DataError, match="ImageEpisodes"):
        medshot.EpisodeSampler(data, way=2, shot=1, query=1)
    with pytest.raises(TaskError, match="not masks"):
        Shifted(episodes, 2).episode(0)
    with pytest.raises(TaskError, match="use encoder='unet'"):
        medshot.build("ridge", encoder=medshot.encoder("conv4", size=16)).adapt(data)


def test_masks_are_scored_by_their_overlap_in_the_form_of_the_encoder(folder):
    data = medshot.load(folder, size=32)
    learner = medshot.build("ridge", encoder=medshot.encoder("unet", size=16, depth=1))
    found = evaluate(learner, medshot.ImageEpisodes(data, shot=1, query=2), episodes=3)
    assert found.leading == "Dice"
    assert found.episodes["size"] == 16  # what is drawn may depend on it
    assert found.scores["Dice"].shape == (3,)
    assert (found.scores["IoU"] <= found.scores["Dice"]).all()
    judged = cross_validate(learner, data)
    assert judged.decoded.shape == (4, 2, 16, 16)
    assert judged.interval("Dice").low <= judged.interval("Dice").mean


def test_meta_training_on_masks_learns_and_remembers_the_data(folder, tmp_path):
    data = medshot.load(folder, size=16)
    one, two = medshot.split_patients(data, 0.5)
    encoder = medshot.encoder("unet", size=16, width=8, depth=1)
    learner = medshot.build("prototypical", encoder=encoder, distance="mean-squared")
    with pytest.raises(DataError, match="could not be drawn"):
        medshot.train(learner, one, val=two, shot=1, query=1, steps=1)  # one patient each
    own = medshot.ImageEpisodes(data, shot=1)
    with pytest.raises(LeakError, match=r"2 patient\(s\) are in both"):
        medshot.train(learner, own, val=medshot.ImageEpisodes(data, shot=1, seed=1), steps=1)
    unknown = replace(data, groups=torch.full_like(data.groups, -1))
    both = medshot.ImageEpisodes(unknown, shot=1)
    run = medshot.train(learner, both, val=both, steps=8, val_every=4, val_episodes=2)
    assert run.about["seen"][0]["hash"] == data.hash
    assert run.history[-1]["val_loss"] < 2
    again = medshot.train(learner, both, val=both, steps=1, vectorise=True)
    assert again.history[-1]["val_loss"] < 2
    wrong = medshot.build("matching", encoder=encoder)
    with pytest.raises(TaskError, match="classification, not segm"):
        medshot.train(wrong, both, val=both, steps=1)


# Pixels without a label: scribbles are enough.


def scribbled(folder: Path, n: int = 4, side: int = 96) -> list[np.ndarray]:
    """Bright discs, each with a stroke of a pixel within it and one beside it, the rest 255."""
    rng, truths = np.random.default_rng(0), []
    folder.mkdir()
    lines = ["path,mask"]
    for i in range(n):
        y, x = np.mgrid[:side, :side]
        cy, cx = rng.integers(35, 60, 2)
        truth = (y - cy) ** 2 + (x - cx) ** 2 < 20**2
        truths.append(truth)
        values = rng.integers(0, 60, (side, side)) + 150 * truth
        Image.fromarray(values.astype(np.uint8)).save(folder / f"{i}.png")
        mask = np.full((side, side), 255, np.uint8)
        mask[cy, cx - 10 : cx + 10] = 1
        mask[3, 5 : side - 5] = 0
        Image.fromarray(mask).save(folder / f"m{i}.png")
        lines.append(f"{i}.png,m{i}.png")
    (folder / "labels.csv").write_text("\n".join(lines))
    return truths


def test_scribbles_with_a_declared_number_for_no_label(tmp_path: Path):
    truths = scribbled(tmp_path / "set")
    with pytest.raises(DataError, match="picture"):  # 255 were a class
        medshot.load(tmp_path / "set")
    data = medshot.load(tmp_path / "set", size=32, ignore_value=255)
    assert data.labels == ("background", "foreground")
    known = data.y != -1
    assert known.any(2).any(1).all()
    assert known.double().mean() < 0.1
    assert {*data.y[known].tolist()} == {0, 1}
    assert torch.equal(data.at(3, 96).at(3, 32).y, data.y)
    assert not medshot.check(tmp_path / "set", ignore_value=255).errors
    (tmp_path / "set" / "classes.csv").write_text("number,name\n1,disc\n255,ignore\n")
    named = medshot.load(tmp_path / "set", size=32)
    assert named.labels == ("background", "disc")
    assert torch.equal(named.y, data.y)
    predictor = medshot.build(
        "linear-probe", encoder=medshot.encoder("filters", size=32, scales=[1.0])
    ).adapt(named)
    found = predictor.predict(tmp_path / "set" / "0.png").mask > 0
    assert 2 * (found & truths[0]).sum() / (found.sum() + truths[0].sum()) > 0.9
