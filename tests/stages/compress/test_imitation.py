"""Who is imitated is asked about the same views; patients who judge do not teach."""

import torch

import toys
from medshot.core.episode import Examples
from medshot.core.predictor import Predictor, unfreeze_copy
from medshot.stages.compress.imitation import imitate
from medshot.tasks import Classification
from toys.networks import classifier


class Asked(Predictor):
    """Remembers the images that it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, x):
        self.seen.append(x)
        return torch.zeros(len(x), 3)


def _imitated(examples: Examples) -> tuple[Asked, list[dict]]:
    teacher = Asked()
    rows = imitate(
        unfreeze_copy(classifier()), teacher, examples, task=Classification(3), steps=4, lr=1e-3
    )
    return teacher, rows


def test_a_fifth_of_the_patients_judges():
    values = torch.arange(20.0).view(-1, 1, 1, 1) / 20
    groups = torch.arange(20) // 2
    shown = Examples(values.expand(-1, 1, 16, 16).contiguous(), torch.zeros(20), groups)
    teacher, rows = _imitated(shown)
    judges = set((20 * teacher.seen[0][:, 0, 0, 0]).round().long().tolist())
    assert len(judges) == 4
    assert all((i ^ 1) in judges for i in judges)
    taught = {i for i in range(20) if i not in judges}
    lowest, highest = min(taught), max(taught)
    mixed = torch.cat(teacher.seen[1:]) * 20
    assert mixed.min() >= lowest - 1e-4
    assert mixed.max() <= highest + 1e-4
    assert "val_loss" in rows[-1]


def test_with_few_patients_all_teach():
    shown = Examples(toys.images(8), torch.zeros(8), torch.arange(8) % 4)
    teacher, rows = _imitated(shown)
    assert [len(x) for x in teacher.seen] == [8] * 4
    assert "val_loss" not in rows[-1]
