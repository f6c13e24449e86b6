"""Parts and whole on the same images: what is fitted is fitted without each image's patient."""

import numpy as np
import torch

from medshot.evaluation.cross_validation import answered, folds_of
from medshot.nn.ensemble import stacked
from medshot.stages.fuse.fuse import agreed, mean_of
from medshot.stages.fuse.weights import (
    answers_of,
    best_of,
    fit_map,
    fit_scores,
    groups_of,
    left_out,
    outputs_of,
    shown_in,
)
from medshot.tasks import Classification
from toys.ensembles import bars, members

TASK = Classification(3)


def _asked():
    parts, data = members(), bars(6, seed=7, name="new")
    return parts, data, outputs_of(mean_of(parts, agreed(parts)), data.examples())


def test_outputs_are_those_of_each_part():
    parts, data, outputs = _asked()
    for part, output in zip(parts, outputs, strict=True):
        found, wanted = answers_of(output, data, TASK), answered(part, data)
        np.testing.assert_allclose(found.decoded, wanted.decoded, atol=1e-6)
        assert found.minus(wanted, "balanced accuracy").mean == 0


def test_the_best_part_has_the_best_score():
    parts, data, outputs = _asked()
    scores = [answered(p, data).interval("balanced accuracy").mean for p in parts]
    assert best_of(outputs, data.examples(), TASK) == int(np.argmax(scores))


def test_every_fold_is_answered_by_what_the_others_teach():
    _, data, outputs = _asked()
    shown = data.examples()
    stack, weighted = (left_out(outputs, shown, TASK, how) for how in ("stack", "weighted"))
    for rest, held in folds_of(data.shows(), data.groups):
        weight, bias = fit_map(outputs[:, rest], shown.y[rest], shown.groups[rest], TASK)
        slow = stacked(outputs[:, held], weight.double(), bias.double(), "softmax")
        torch.testing.assert_close(stack[held], slow)
        shares = fit_scores(outputs[:, rest], shown.y[rest], TASK).double().softmax(0)
        slow = torch.einsum("m,mnk->nk", shares, outputs[:, held].softmax(2))
        torch.testing.assert_close(weighted[held].softmax(1), slow)


def test_nothing_is_left_out_where_a_class_has_one_patient():
    _, data, outputs = _asked()
    one = data.subset(torch.tensor([0, 1, 6, 7, 12, 13]))
    assert left_out(outputs[:, [0, 1, 6, 7, 12, 13]], one.examples(), TASK, "weighted") is None


def test_patients_that_nobody_knows_are_minus_one():
    data = bars(2, seed=0)
    assert groups_of(data.examples()).tolist() == [0, 0, 1, 1, 2, 2]
    card = members()[0].known_card()
    bare = shown_in(data, card)
    assert groups_of(type(bare)(bare.x, bare.y)).tolist() == [-1] * 6
