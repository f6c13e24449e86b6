"""The number of steps is judged on patients left out, from starts that have not seen them."""

import pytest
import torch

import toys
from medshot.core.episode import Examples
from medshot.core.errors import ConfigError, TrainingError
from medshot.learners.registry import build
from medshot.stages.finetune import finetune as module
from medshot.stages.finetune.finetune import Descent, best_steps
from medshot.stages.finetune.methods import TrainableCopy, get_method
from medshot.tasks import Classification

TASK, WAY = Classification(2), get_method("head")
DESCENT = Descent(lr=0.02, pull=0.0, batch=100)


def _support(patients: int = 4) -> Examples:
    """Two images a patient and two patients a class at least."""
    support = toys.episode(TASK, shots=2 * patients).support
    order = support.y.argsort(stable=True)
    return Examples(support.x[order], support.y[order], torch.arange(len(order)) // 2)


def _learner():
    torch.manual_seed(0)
    return build("finetune", encoder=toys.Projection(), steps=0)


def test_no_start_has_seen_a_patient_that_it_is_judged_on(monkeypatch):
    support, seen, judged = _support(), [], []

    def start(examples):
        seen.append(set(examples.groups.tolist()))
        return _learner().learn(examples, TASK), TASK

    def curve(freed, shown, unseen, *_):
        del freed
        assert set(shown.groups.tolist()) == seen[-1]
        judged.append(set(unseen.groups.tolist()))
        return iter([1.0, 0.5, 0.7])

    monkeypatch.setattr(module, "_curve", curve)
    assert best_steps(start, support, TASK, WAY, DESCENT, 20) == 2
    assert all(not a & b for a, b in zip(seen, judged, strict=True))
    assert set.union(*judged) == set(range(8))


def test_it_is_where_the_mean_loss_left_out_is_least():
    support, losses = _support(), []

    def start(examples):
        return _learner().learn(examples, TASK), TASK

    def curve(freed, shown, unseen, *rest):
        found = list(module_curve(freed, shown, unseen, *rest))
        slow = []
        for n in range(0, 41, 4):  # each number of steps from the start again
            again = TrainableCopy(_learner().learn(shown, TASK), WAY)
            DESCENT.run(again, shown, TASK, n)
            slow.append(TASK.loss(again.predictor(unseen.x), unseen.y).item())
        assert found == pytest.approx(slow, abs=1e-5)
        losses.append(len(unseen) * torch.tensor(slow))
        return iter(found)

    module_curve = module._curve
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_curve", curve)
        found = best_steps(start, support, TASK, WAY, DESCENT, 40)
    assert found == 4 * int(torch.stack(losses).sum(0).argmin())


def test_what_can_only_harm_is_not_done():
    support = _support()
    support.y[:] = support.y[torch.randperm(len(support))]  # labels that nothing explains

    def start(examples):
        return _learner().learn(examples, TASK), TASK

    assert best_steps(start, support, TASK, get_method("all"), DESCENT, 40) == 0


def test_where_a_class_has_one_patient_nobody_can_say():
    support = _support(patients=1)
    assert best_steps(lambda _: (None, TASK), support, TASK, WAY, DESCENT, 10) is None


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
