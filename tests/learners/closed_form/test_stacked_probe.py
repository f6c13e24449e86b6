"""The blend as it is written down, what is left out together, broken priors, cached features."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import medshot
import toys
from medshot import check as check_folder
from medshot.core.episode import Examples
from medshot.core.errors import DataError, SaveError
from medshot.core.learner import Learner
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation import episodes as module
from medshot.evaluation.episodes import can_be_encoded, encoded
from medshot.inner import closed_form
from medshot.learners import build
from medshot.learners.closed_form import stacked_probe
from medshot.learners.closed_form.stacked_probe import MEMBERS, PACKAGED, at_shot
from medshot.nn.encoders.adapters import normalized_blocks, shortened
from medshot.selection.cross_validator import bench_of
from medshot.tasks import Classification, Segmentation
from medshot.tasks.classification import METRICS
from toys.commands import folder

SIZE = 32
PRIOR = json.loads((PACKAGED / "prior.json").read_text())


@pytest.fixture(scope="module")
def mobilenet() -> medshot.Encoder:
    return medshot.encoder("mobilenet", size=SIZE).requires_grad_(False)


def spots(y: torch.Tensor, seed: int = 0, size: int = SIZE) -> torch.Tensor:
    """Noisy images with a colored square whose place and color are those of the class."""
    rng = torch.Generator().manual_seed(seed)
    x = 0.5 * torch.rand(len(y), 3, size, size, generator=rng)
    for i, c in enumerate(y.tolist()):
        at = size // 8 * (1 + 2 * (c % 3))
        x[i, c % 3, at : at + size // 4, at : at + size // 4] += 0.4
    return x


def accuracy(learner: Learner, support: Examples, k: int) -> float:
    y = torch.arange(k).repeat(5)
    predictor = learner.adapt(support, Classification(k))
    return toys.accuracy(predictor, Examples(spots(y, 99), y))


@pytest.mark.parametrize("counts", [(1, 1, 1), (5, 5, 5), (1, 4, 9)])
def test_it_learns_from_one_image_a_class_and_from_unequal_numbers(mobilenet, counts):
    y = torch.arange(3).repeat_interleave(torch.tensor(counts))
    assert accuracy(build("stacked-probe", encoder=mobilenet), Examples(spots(y), y), 3) > 0.6


def test_many_images_are_left_out_in_folds(mobilenet):
    y = torch.arange(2).repeat(25)
    assert accuracy(build("stacked-probe", encoder=mobilenet), Examples(spots(y), y), 2) > 0.9


def test_images_of_one_patient_are_left_out_together():
    y = torch.tensor([0, 0, 1, 1, 0, 1])
    support = Examples(spots(y), y, torch.tensor([7, 7, 3, -1, -1, 3]))
    together, evident = stacked_probe.left_out_together(support, Classification(2))
    assert evident
    assert [row.nonzero().flatten().tolist() for row in together] == [
        *([0, 1], [0, 1], [2, 5], [3], [4], [2, 5])
    ]
    one = Examples(spots(y), y, torch.tensor([7, 7, 3, -1, 7, 3]))
    assert not stacked_probe.left_out_together(one, Classification(2))[1]  # all of a class


def test_many_patients_are_left_out_in_folds_that_keep_them_whole():
    y, groups = torch.arange(2).repeat_interleave(30), torch.arange(60) // 2
    support = Examples(torch.zeros(60, 1), y, groups)
    together, evident = stacked_probe.left_out_together(support, Classification(2))
    assert evident
    assert len(together.unique(dim=0)) == stacked_probe.MOST_HELD
    assert together[groups[:, None] == groups].all()


@pytest.mark.parametrize("name", ["conv4", "pixels"])
def test_an_encoder_that_the_prior_does_not_know_is_not_whitened(name):
    y = torch.arange(3).repeat(5)
    encoder = medshot.encoder(name, channels=3, size=SIZE)
    learner = build("stacked-probe", encoder=encoder)
    whole = learner.adapt(Examples(spots(y), y), Classification(3)).encoder
    assert whole.factors.shape[1] == 0
    assert whole.sizes == (encoder.n_features,)
    assert accuracy(learner, Examples(spots(y), y), 3) > 0.6


def test_scores_are_one_linear_map_that_blends_the_members(mobilenet):
    y = torch.tensor([0, 1, 2, 0, 1, 2, 0, 2])
    x, asked, n, k = spots(y), spots(torch.arange(3), 9), 8, 3
    predictor = build("stacked-probe", encoder=mobilenet).adapt(Examples(x, y), Classification(k))
    factors = stacked_probe._tables(None)[1]
    sizes, labels = mobilenet.block_sizes, torch.eye(k, dtype=torch.float64)[y]
    with torch.no_grad():
        z, q = (mobilenet(x) + mobilenet(x.flip(-1))) / 2, mobilenet(asked)
    z, q = (shortened(each, factors, sizes) for each in (z, q))
    center = torch.stack([z[y == c].mean(0) for c in range(k)]).mean(0)
    u, v = ([b.double() for b in normalized_blocks(each, center, sizes)] for each in (z, q))
    even = (labels / labels.sum(0)).sum(1) * n / k
    said, left_out = [], []
    for member in MEMBERS:
        each = [0.1] * 10 + [member.statistics / 10]
        gram, cross = (
            sum(s * a @ b.T for s, a, b in zip(each, left, u, strict=True)) for left in (u, v)
        )
        alone = torch.eye(n).bool()
        if member.kind == "prototypes":
            a, out = closed_form.prototypes(gram, labels, alone)
        else:
            a, out = closed_form.ridge(gram, labels - 1 / k, member.penalty, even, alone)
        said.append((cross @ a).numpy())
        left_out.append(out.numpy())
    here = at_shot(PRIOR, n / k)
    means = torch.stack([z[y == c].mean(0) for c in range(k)])
    pairs = torch.stack([(means[i] - means[j]).square() for i in range(k) for j in range(k)])
    between = [b.sum(1).sum().item() / (2 * k * (k - 1)) for b in pairs.split(sizes, 1)[-3:-1]]
    phi = np.log(np.mean(np.array(between) / np.array(PRIOR["within"])))
    t = np.exp(here["log_temperature"] + here["way"] * np.log(k / 3) + here["apart"] * phi)

    def likelihood(scores: np.ndarray) -> float:
        p = torch.from_numpy(scores).softmax(1)[range(n), y]
        return float((even * p.log()).sum())

    evidence = [likelihood(ti * o) for ti, o in zip(t, left_out, strict=True)]
    w = np.exp(here["log_weight"] + np.exp(here["log_evidence"]) * np.array(evidence))
    w = w / w.sum() * t
    blended = sum(wi * o for wi, o in zip(w, left_out, strict=True))
    logs = np.arange(-8, 17) / 2 * np.log(2)
    log_p = [likelihood(np.exp(s) * blended) - s**2 / 2 / here["scale_spread"] ** 2 for s in logs]
    p = np.exp(np.array(log_p) - max(log_p))
    scale = np.exp((p * logs).sum() / p.sum())
    slow = scale * sum(wi * each for wi, each in zip(w, said, strict=True))
    np.testing.assert_allclose(predictor(asked).numpy(), slow, atol=1e-3, rtol=1e-3)


def test_one_patient_a_class_gets_the_prior_of_one_shot():
    learner = build("stacked-probe", encoder=toys.conv4())
    labels = torch.eye(3, dtype=torch.float64)
    found = learner.blend([torch.eye(3, dtype=torch.float64)], labels, torch.eye(3).bool())
    weights, scale = learner.weights(found, labels, evident=False, apart=0.5)
    t = np.exp(np.array(PRIOR["log_temperature"][0]) + 0.5 * PRIOR["apart"][0])
    w = np.exp(np.array(PRIOR["log_weight"][0]))
    np.testing.assert_allclose(weights.numpy(), w / w.sum() * t, rtol=1e-6)
    assert abs(np.log(scale)) < 0.01  # up to the grid


def test_classes_that_are_further_apart_are_told_apart_with_more_confidence(mobilenet):
    y = torch.arange(3)
    near, far = spots(y), spots(y)
    far[0], far[1] = far[0] / 4, 1 - far[1] / 4
    learner = build("stacked-probe", encoder=mobilenet)
    sure = []
    for x in (near, far):
        with torch.no_grad():
            z = learner.support_features(x)
        labels = torch.eye(3)
        sure.append(learner.apart(shortened(z, learner._factors(z), learner.sizes), labels))
    assert sure[1] > sure[0]
    assert build("stacked-probe", encoder=toys.conv4()).apart(z, labels) == 0


def test_the_prior_between_its_numbers_of_shots_is_between():
    low, here, high = (at_shot(PRIOR, shot)["log_weight"] for shot in (1.0, 3.0, 5.0))
    share = np.log(3) / np.log(5)
    np.testing.assert_allclose(here, (1 - share) * low + share * high)
    np.testing.assert_array_equal(at_shot(PRIOR, 900.0)["log_weight"], PRIOR["log_weight"][-1])


def _without(key: str):
    return lambda table: {name: value for name, value in table.items() if name != key}


DAMAGED = {
    "members": lambda table: {**table, "log_weight": [row[:-1] for row in table["log_weight"]]},
    "temperatures": lambda table: {**table, "log_temperature": [[0.0], [0.0], [0.0]]},
    "a key": _without("scale_spread"),
    "no shots": lambda table: {**table, "shots": []},
    "no spread": lambda table: {**table, "within": [0.0, 0.0]},
    "no number": lambda table: {**table, "log_evidence": [float("nan")] * 3},
    "no table": lambda table: [1],
}


@pytest.mark.parametrize("damage", list(DAMAGED))
def test_a_damaged_prior_is_refused(damage, tmp_path, mobilenet):
    place = shutil.copytree(PACKAGED, tmp_path / "mine")
    (place / "prior.json").write_text(json.dumps(DAMAGED[damage](PRIOR)))
    _is_refused(place, mobilenet)


@pytest.mark.parametrize("damage", ["cut short", "missing", "other features"])
def test_damaged_factors_are_refused(damage, tmp_path, mobilenet):
    place = shutil.copytree(PACKAGED, tmp_path / "mine")
    file = place / "factors.safetensors"
    whole = file.read_bytes()
    file.unlink()
    if damage == "cut short":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "other features":
        save_file({"factors": torch.zeros(7, 2)}, file)
    _is_refused(place, mobilenet)


def test_a_folder_without_a_prior_is_refused(tmp_path, mobilenet):
    _is_refused(tmp_path, mobilenet)


def _is_refused(place: Path, encoder: medshot.Encoder) -> None:
    y = torch.arange(2).repeat(2)
    learner = build("stacked-probe", encoder=encoder, prior=str(place))
    with pytest.raises(SaveError, match=r"stacked-probe.*--force") as error:
        learner.adapt(Examples(spots(y), y), Classification(2))
    assert str(place) in str(error.value)


def test_another_prior_gives_other_scores(tmp_path, mobilenet):
    place = shutil.copytree(PACKAGED, tmp_path / "mine")
    sharper = {**PRIOR, "log_temperature": (np.array(PRIOR["log_temperature"]) + 3).tolist()}
    (place / "prior.json").write_text(json.dumps(sharper))
    y = torch.arange(2)
    usual, other = (
        build("stacked-probe", encoder=mobilenet, prior=prior).adapt(
            Examples(spots(y), y), Classification(2)
        )
        for prior in (None, str(place))
    )
    assert other(spots(y, 1)).abs().mean() > 5 * usual(spots(y, 1)).abs().mean()


def test_a_saved_predictor_gives_the_same_numbers_and_so_does_adapting_again(tmp_path, mobilenet):
    dataset = toys.dataset(3, 4, channels=3, size=SIZE)
    learner, x = build("stacked-probe", encoder=mobilenet), toys.images(5, channels=3, size=SIZE)
    predictor, again = learner.adapt(dataset), learner.adapt(dataset)
    assert torch.equal(predictor(x), again(x))
    loaded = medshot.load_predictor(predictor.save(tmp_path / "model"))
    assert torch.equal(loaded(x), predictor(x))
    assert loaded.known_card().learner["learner"]["part"] == "learner/stacked-probe"


@pytest.mark.parametrize("kind", ["ordinal", "multi-label", "regression"])
def test_other_targets_are_regressed_on(kind):
    torch.manual_seed(0)
    task = toys.task_of(kind, 2)
    episode = toys.episode(task, shots=20, queries=20)
    learner = build("stacked-probe", encoder=toys.Projection(), mirror=False)
    task = task.fitted(episode.support.y)
    found = toys.score(task, learner.adapt(episode.support, task), episode.query)
    assert found > toys.chance(task) + 0.2
    first = episode.support[:3] if kind == "regression" else episode.support[:2]
    if kind == "multi-label":
        assert learner.adapt(first, task)(episode.query.x).isfinite().all()  # one of each


@pytest.mark.parametrize("mirror", [True, False])
def test_left_and_right_differ_only_without_mirroring(mirror, mobilenet):
    y = torch.arange(2).repeat(4)
    x = 0.3 * torch.rand(8, 3, SIZE, SIZE)
    x[y == 0, :, :, : SIZE // 2] += 0.5
    x[y == 1, :, :, SIZE // 2 :] += 0.5
    learner = build("stacked-probe", encoder=mobilenet, mirror=mirror)
    z = learner.support_features(x[:1])
    assert torch.allclose(z, learner.support_features(x[:1].flip(-1)), atol=1e-5) == mirror


def test_whole_images_on_an_encoder_that_keeps_the_grid_are_pooled():
    learner = build("stacked-probe", encoder=toys.encoder(Segmentation(2)))
    x, y = torch.rand(6, 8, 16, 16), torch.tensor([0, 1] * 3)
    assert learner.adapt(Examples(x, y), Classification(2))(x).shape == (6, 2)


@pytest.fixture
def patients() -> medshot.Dataset:
    """Images of 16 patients, three of each, two classes."""
    y = torch.arange(2).repeat_interleave(24)
    whole = toys.dataset(2, 24, channels=3, size=SIZE)
    x = (255 * spots(y).clamp(0, 1)).to(torch.uint8)
    return replace(whole, x=x, y=y, groups=torch.arange(48) // 3)


def test_features_once_an_image_give_the_scores_of_images(patients, mobilenet, monkeypatch):
    learner = build("stacked-probe", encoder=mobilenet)
    sampler = EpisodeSampler(patients, way=2, shot=3, query=2)
    assert can_be_encoded(learner, sampler)
    headless, episodes = encoded(learner, sampler)
    images, features = sampler.episode(0), episodes.episode(0)
    whole = learner.learn(images.support, images.task)(images.query.x)
    short = headless.learn(features.support, features.task)(features.query.x)
    torch.testing.assert_close(whole, short, atol=1e-3, rtol=1e-3)
    once = module.evaluate(learner, sampler, episodes=3)
    monkeypatch.setattr(module, "can_be_encoded", lambda *_: False)
    every = module.evaluate(learner, sampler, episodes=3)
    for metric in METRICS:
        np.testing.assert_allclose(once.scores[metric], every.scores[metric], atol=1e-6)


def test_the_bench_answers_as_a_learner_that_sees_images(patients, mobilenet):
    bench = bench_of(patients)
    for mirror in (True, False):  # one encoder, and what is read of the support is not the same
        learner = build("stacked-probe", encoder=mobilenet, mirror=mirror)
        rest, held = bench.folds[0]
        decoded, _ = next(bench.fold_by_fold(learner))
        support, asked = patients.subset(rest), patients.subset(held)
        predictor = learner.adapt(support.examples(), Classification(2))
        expected = predictor(asked.examples().x).double().softmax(1).numpy()
        np.testing.assert_allclose(decoded, expected, atol=1e-4)


def test_a_thousand_classes_of_one_image(mobilenet):
    y = torch.arange(1000)
    z = torch.rand(1000, mobilenet.n_features, generator=torch.Generator().manual_seed(0))
    learner = build("stacked-probe", encoder=mobilenet)
    began = time.process_time()
    predictor = learner.fit(torch.nn.Identity(), z, y, Classification(1000))
    assert time.process_time() - began < 30
    assert (predictor(z).argmax(1) == y).double().mean() > 0.95


@pytest.mark.parametrize("n", [1, 4])
def test_one_image_and_one_class_are_refused(n, mobilenet):
    y = torch.zeros(n, dtype=torch.long)
    learner = build("stacked-probe", encoder=mobilenet)
    with pytest.raises(DataError, match="only one class"):
        learner.adapt(Examples(spots(y), y), Classification(1))
    with pytest.raises(DataError, match=r"\[1\] have no image"):
        learner.adapt(Examples(spots(y), y), Classification(2))


def test_images_of_two_cameras_teach_together_and_a_camera_a_class_is_warned_of(
    tmp_path, mobilenet
):
    for mixed in (True, False):
        place = folder(tmp_path / str(mixed), (6, 6))
        for c in range(2):
            for i in range(6):
                if i % 2 if mixed else c:  # another camera: larger, in color
                    file = place / f"{c}-{i}.png"
                    Image.open(file).convert("RGB").resize((90, 90)).save(file)
        found = [each.what for each in check_folder(place).findings if each.severity == "warning"]
        assert any("tells class" in what for what in found) != mixed
        dataset = medshot.load(place, channels=3, size=SIZE)
        predictor = build("stacked-probe", encoder=mobilenet).adapt(dataset)
        assert toys.accuracy(predictor, dataset.examples()) == 1
