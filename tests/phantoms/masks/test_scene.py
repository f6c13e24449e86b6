"""Scenes: masks, things, boxes and clean pictures say the same of one image."""

from dataclasses import replace

import numpy as np
import pytest

from medshot.core.errors import ConfigError
from medshot.phantoms import FAMILIES, SceneTask, VolumeTask
from medshot.phantoms.masks.scene import (
    NOISES,
    Camera,
    draw_camera,
    draw_layout,
    draw_scenes,
    response,
)

SIZE = 48


def test_a_number_means_the_same_tissues_on_every_image() -> None:
    for family in FAMILIES:
        task = SceneTask(5, SIZE, family=family)
        for i, mask in enumerate(task.scenes(3).masks):
            tissue = draw_layout(task.plan, i, task.shape).tissue
            for number in range(len(task.labels)):
                marked = np.flatnonzero(task.plan.label == number)
                assert np.array_equal(mask == number, np.isin(tissue, marked))


@pytest.mark.parametrize("family", FAMILIES)
def test_without_grain_and_light_each_tissue_is_one_colour_to_the_pixel(family: str) -> None:
    plan = SceneTask(3, SIZE, family=family).plan
    none = np.zeros_like(plan.looks.fine)
    still = {"shading": 0.0, "uneven": 0.0, "exposure": 0.0, "vary": 0.0}
    flat = replace(plan, looks=replace(plan.looks, coarse=none, fine=none, **still))
    clean = draw_scenes(flat, [(0, 0)], (SIZE, SIZE), 3).clean[0]
    tissue = draw_layout(flat, 0, (SIZE, SIZE)).tissue
    tones = plan.looks.tones[list(plan.looks.like)]
    for kind in np.unique(tissue):
        colours = clean[:, tissue == kind]
        assert (colours == colours[:, :1]).all()
        assert colours[:, 0] == pytest.approx(np.resize(tones[kind] * 255, 3), abs=12)


@pytest.mark.parametrize("family", FAMILIES)
def test_boxes_are_tight_around_things(family: str) -> None:
    scenes = SceneTask(2, SIZE, classes=2, family=family).scenes(3)
    for things, mask, boxes in zip(scenes.things, scenes.masks, scenes.boxes, strict=True):
        assert np.array_equal(things > 0, mask > 0)
        expected = []
        for thing in np.unique(things[things > 0]):
            rows, columns = np.nonzero(things == thing)
            label = mask[rows[0], columns[0]]
            assert (mask[things == thing] == label).all()
            if len(rows) >= 4:
                corner = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                expected.append([*corner, label])
        assert boxes.tolist() == expected
        assert len(boxes) > 0


def test_parts_of_one_class_are_one_thing() -> None:
    """A white cell that is marked as a whole has one box, and two where its nucleus is a class."""
    found = {}
    for seed in range(40):
        task = SceneTask(seed, SIZE, family="smears")
        if task.labels[1:] in (("cytoplasm, granule, nucleus",), ("cytoplasm, granule", "nucleus")):
            boxes, label = task.scenes(1).boxes[0], len(task.labels) - 1
            found.setdefault(label, []).append(len(boxes) / label / task.plan.family.many)
    assert set(found) == {1, 2}
    assert all(np.median(share) == 1.0 for share in found.values())


def test_boxes_of_volumes_have_a_depth() -> None:
    scenes = VolumeTask(2, (20, 24, 28), classes=1, family="organs").scenes(1)
    z, y, x = np.nonzero(scenes.things[0] == scenes.things[0].max())
    low, high = [x.min(), y.min(), z.min()], [x.max() + 1, y.max() + 1, z.max() + 1]
    assert [*low, *high, 1] in scenes.boxes[0].tolist()


def test_noise_and_blur_lie_between_clean_and_recorded() -> None:
    ratios = []
    for seed in range(30):
        scenes = SceneTask(seed, SIZE).scenes(1)
        error = np.mean((scenes.pixels / 255.0 - scenes.clean / 255.0) ** 2)
        ratios.append(-10 * np.log10(error))
    assert 14 < min(ratios) < max(ratios) < 50
    assert 20 < np.median(ratios) < 35


def test_what_does_not_fit_is_refused() -> None:
    plan = SceneTask(0, family="cells").plan
    nothing = replace(plan, label=np.zeros_like(plan.label), labels=("background", "cell"))
    with pytest.raises(ConfigError, match="do not fit into 32 x 32 pixels"):
        draw_layout(nothing, 0, (32, 32))


# Cameras: blur, resolution and noise of the sizes that they say.


SHARP = Camera(blur=1e-6, keep=1.0, noise="even", level=0.05, smooth=False)


def test_the_matrix_blurs_as_a_gaussian() -> None:
    from scipy import ndimage  # noqa: PLC0415

    line = np.zeros(128)
    line[64] = 1.0
    blurred = response(128, 2.0, 1.0) @ line
    assert blurred == pytest.approx(ndimage.gaussian_filter1d(line, 2.0, truncate=8), abs=1e-5)


@pytest.mark.parametrize("keep", [1.0, 0.7, 0.4])
def test_even_pictures_stay_and_a_ramp_stays_a_ramp(keep: float) -> None:
    matrix = response(96, 1.0, keep)
    assert np.allclose(matrix.sum(1), 1.0, atol=1e-5)
    ramp = np.arange(96.0)
    assert np.allclose((matrix @ ramp)[10:-10], ramp[10:-10], atol=0.6)


def test_thinning_removes_detail() -> None:
    stripes = np.tile([0.0, 1.0], 48)
    kept = {keep: (response(96, 1e-6, keep) @ stripes).std() for keep in (1.0, 0.8, 0.4)}
    assert kept[0.4] < kept[0.8] < kept[1.0] == pytest.approx(0.5)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("smooth", [False, True])
def test_noise_has_its_size(noise: str, smooth: bool) -> None:
    clean = np.full((1, 128, 128), 0.5, np.float32)
    camera = replace(SHARP, noise=noise, smooth=smooth, blur=1.0)
    recorded = [camera.record(clean, np.random.default_rng(seed)) for seed in range(4)]
    expected = {"speckle": 2.5 * 0.5, "photons": 1.5 * 0.5**0.5}.get(noise, 1.0) * 0.05
    assert np.mean([r.std() for r in recorded]) == pytest.approx(expected, rel=0.3)
    assert np.mean(recorded) == pytest.approx(0.5, abs=0.02)
    assert np.array_equal(recorded[0], camera.record(clean, np.random.default_rng(0)))


def test_volumes_are_blurred_along_every_axis() -> None:
    clean = np.zeros((1, 16, 20, 24), np.float32)
    clean[0, 8, 10, 12] = 1.0
    seen = replace(SHARP, blur=8.0, level=0.0).record(clean, np.random.default_rng(0))[0]
    assert seen.shape == (16, 20, 24)
    assert min(seen[9, 10, 12], seen[8, 11, 12], seen[8, 10, 13]) > 0.02


def test_cameras_differ() -> None:
    drawn = [draw_camera(np.random.default_rng(seed)) for seed in range(60)]
    assert {camera.noise for camera in drawn} == set(NOISES)
    assert {camera.smooth for camera in drawn} == {True, False}
    assert all(0.006 <= camera.level <= 0.08 for camera in drawn)
