"""The number of steps is judged on patients left out, from starts that have not seen them."""

import pytest
import torch

import toys
from medshot.core.episode import Examples
from medshot.learners.registry import build
from medshot.stages.finetune import fit as module
from medshot.stages.finetune.fit import Descent, best_steps
from medshot.stages.finetune.methods import get_method
from medshot.stages.finetune.trainable import TrainableCopy
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
