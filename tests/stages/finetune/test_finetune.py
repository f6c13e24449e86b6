"""Fine-tuning learns what the head alone cannot, says what it did, and goes on after a kill."""

from contextlib import contextmanager

import pytest
import torch

import medshot
import toys
from medshot.core.episode import Examples
from medshot.core.errors import ConfigError, TrainingError
from medshot.learners.registry import build
from medshot.stages.finetune import finetune as module
from medshot.stages.finetune.finetune import Descent, best_steps
from medshot.stages.finetune.methods import LoRA, TrainableCopy, get_method
from medshot.tasks import Classification

TASK = Classification(3)


def _adapted(name: str = "nearest-centroid", shots: int = 5):
    episode = toys.episode(TASK, shots=shots, queries=40)
    learner = build(name, encoder=toys.Projection())
    return learner, learner.adapt(episode.support, TASK), episode


@pytest.mark.parametrize("way", ["lora", "all"])
def test_with_more_images_it_does_better_than_its_start(way):
    learner, predictor, episode = _adapted(shots=20)
    more = {"task": TASK, "lr": 0.003, "steps": 60, "learner": learner}
    after = medshot.finetune(predictor, episode.support, way, **more)
    before, found = (toys.accuracy(p, episode.query) for p in (predictor, after))
    assert 1 / 3 < before < found - 0.05 < 0.95


def test_a_way_can_be_given_with_its_options():
    _, predictor, episode = _adapted()
    few, many = (
        medshot.finetune(predictor, episode.support, LoRA(rank=rank), task=TASK, steps=5)
        for rank in (1, 8)
    )
    assert not torch.equal(few(episode.query.x), many(episode.query.x))


def test_the_card_says_what_was_done_and_stages_chain():
    dataset = toys.dataset()
    learner = build("prototypical", encoder=toys.conv4())
    predictor = learner.adapt(dataset)
    once = medshot.finetune(predictor, dataset, "film", steps=4, unseen=True)
    twice = medshot.finetune(once, dataset, "head", steps=2)
    assert predictor.known_card().stages == ()
    film, head = twice.known_card().stages
    assert (film["stage"], film["what"], film["parameters"]) == ("finetune", "film", 64 + 24 + 1)
    assert film["steps chosen by"] == "images left out"
    assert film["steps"] in (0, 1, 2, 3, 4)
    assert (head["what"], head["steps"], head["steps chosen by"]) == ("head", 2, "whoever asked")
    assert twice.known_card().learner == predictor.known_card().learner


def test_one_image_a_class_is_fine_tuned_for_the_steps_that_are_asked_for():
    learner, predictor, episode = _adapted(shots=1)
    predictor = predictor.freeze().with_card(toys.card(3))
    after = medshot.finetune(predictor, episode.support, steps=3, learner=learner)
    assert after.known_card().stages[-1]["steps"] == 3
    assert after.known_card().stages[-1]["steps chosen by"] == "whoever asked"


def test_killed_and_gone_on_it_ends_with_the_same_bits(tmp_path):
    learner, predictor, episode = _adapted()
    told = {"task": TASK, "steps": 10, "learner": learner}
    ticks = iter(range(100))

    @contextmanager
    def dies(steps, done):
        def tick(step, row):
            if next(ticks) == 15:  # in the second fold
                raise KeyboardInterrupt

        yield tick

    def again(**more):
        return medshot.finetune(predictor, episode.support, "lora", **told, **more)

    with pytest.raises(KeyboardInterrupt):
        again(folder=tmp_path, watch=dies)
    assert (tmp_path / "fold_1").is_dir()
    assert torch.equal(again(folder=tmp_path)(episode.query.x), again()(episode.query.x))
    with pytest.raises(ConfigError, match="another pull"):
        again(folder=tmp_path, pull=5.0)


# The number of steps is judged on patients left out, from starts that have not seen them.


THREE_CLASSES, WAY = Classification(2), get_method("head")
DESCENT = Descent(lr=0.02, pull=0.0, batch=100)


def _support(patients: int = 4) -> Examples:
    """Two images a patient and two patients a class at least."""
    support = toys.episode(THREE_CLASSES, shots=2 * patients).support
    order = support.y.argsort(stable=True)
    return Examples(support.x[order], support.y[order], torch.arange(len(order)) // 2)


def _learner():
    torch.manual_seed(0)
    return build("finetune", encoder=toys.Projection(), steps=0)


def test_no_start_has_seen_a_patient_that_it_is_judged_on(monkeypatch):
    support, seen, judged = _support(), [], []

    def start(examples):
        seen.append(set(examples.groups.tolist()))
        return _learner().learn(examples, THREE_CLASSES), THREE_CLASSES

    def curve(freed, shown, unseen, *_):
        del freed
        assert set(shown.groups.tolist()) == seen[-1]
        judged.append(set(unseen.groups.tolist()))
        return iter([1.0, 0.5, 0.7])

    monkeypatch.setattr(module, "_curve", curve)
    assert best_steps(start, support, THREE_CLASSES, WAY, DESCENT, 20) == 2
    assert all(not a & b for a, b in zip(seen, judged, strict=True))
    assert set.union(*judged) == set(range(8))


def test_it_is_where_the_mean_loss_left_out_is_least():
    support, losses = _support(), []

    def start(examples):
        return _learner().learn(examples, THREE_CLASSES), THREE_CLASSES

    def curve(freed, shown, unseen, *rest):
        found = list(module_curve(freed, shown, unseen, *rest))
        slow = []
        for n in range(0, 41, 4):  # each number of steps from the start again
            again = TrainableCopy(_learner().learn(shown, THREE_CLASSES), WAY)
            DESCENT.run(again, shown, THREE_CLASSES, n)
            slow.append(THREE_CLASSES.loss(again.predictor(unseen.x), unseen.y).item())
        assert found == pytest.approx(slow, abs=1e-5)
        losses.append(len(unseen) * torch.tensor(slow))
        return iter(found)

    module_curve = module._curve
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_curve", curve)
        found = best_steps(start, support, THREE_CLASSES, WAY, DESCENT, 40)
    assert found == 4 * int(torch.stack(losses).sum(0).argmin())


def test_what_can_only_harm_is_not_done():
    support = _support()
    support.y[:] = support.y[torch.randperm(len(support))]  # labels that nothing explains

    def start(examples):
        return _learner().learn(examples, THREE_CLASSES), THREE_CLASSES

    assert best_steps(start, support, THREE_CLASSES, get_method("all"), DESCENT, 40) == 0


def test_where_a_class_has_one_patient_nobody_can_say():
    support = _support(patients=1)
    assert (
        best_steps(lambda _: (None, THREE_CLASSES), support, THREE_CLASSES, WAY, DESCENT, 10)
        is None
    )


# The descent is on the loss and half the pull times the squared distance to the start.


THREE = Classification(3)


def _start():
    episode = toys.episode(THREE)
    learner = build("finetune", encoder=toys.Projection(), steps=1)
    return learner.adapt(episode.support, THREE), episode


def test_it_is_adam_on_loss_and_distance():
    predictor, episode = _start()
    freed = TrainableCopy(predictor, get_method("all"))
    Descent(lr=0.01, pull=0.5, batch=100).run(freed, episode.support, THREE, 4)
    slow = [t.clone().requires_grad_() for t in predictor.freeze().state_dict().values()]
    names, starts = list(predictor.state_dict()), [t.detach().clone() for t in slow]
    optimizer = torch.optim.Adam(slow, lr=0.01)
    for _ in range(4):
        weights = dict(zip(names, slow, strict=True))
        z = episode.support.x.flatten(1) @ weights["encoder.1.weight"].T
        scores = (z + weights["encoder.1.bias"]) @ weights["weight"] + weights["bias"]
        distance = sum((p - q).square().sum() for p, q in zip(slow, starts, strict=True))
        loss = torch.nn.functional.cross_entropy(scores, episode.support.y) + 0.25 * distance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, tensor in freed.settled().state_dict().items():
        torch.testing.assert_close(tensor, dict(zip(names, slow, strict=True))[name].detach())


@pytest.mark.parametrize("way", ["lora", "all"])
def test_the_stronger_the_pull_the_nearer_it_stays(way):
    predictor, episode = _start()
    far = []
    for pull in (0.0, 1.0, 100.0):
        freed = TrainableCopy(predictor, get_method(way))
        Descent(lr=0.01, pull=pull, batch=100).run(freed, episode.support, THREE, 60)
        far.append(freed.distance().item())
    assert far[0] > 2 * far[1] > 4 * far[2] > 0


def test_a_loss_that_is_not_finite_is_named():
    predictor, episode = _start()
    support = episode.support
    support.x[0, 0, 0, 0] = torch.inf
    with pytest.raises(TrainingError, match="nan at step 1"):
        Descent(lr=0.01, pull=0.0, batch=100).run(
            TrainableCopy(predictor, get_method("head")), support, THREE, 1
        )


@pytest.mark.parametrize(
    "wrong", [{"pull": -1.0}, {"pull": float("nan")}, {"batch": 0}], ids=["pull", "nan", "batch"]
)
def test_numbers_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match="pull="):
        Descent(**{"lr": 0.1, "pull": 0.1, "batch": 1, **wrong})
