"""Weights of an ensemble, weights averaged into one network (model soups), and their evaluation."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from medshot.core import Card, DataError, Examples, Predictor, Task, any_tensor, eval_mode, recipe
from medshot.data.dataset import Dataset
from medshot.data.episodes import own_groups
from medshot.data.split import rarest
from medshot.evaluation.cross_validation import OutOfFold, folds_of
from medshot.nn.ensemble import EnsembleMembers, mixed, stacked_outputs
from medshot.training.progress import Watch, quiet

STEPS = 100


def lbfgs_minimize(loss: Callable[[], Tensor], moving: Sequence[Tensor]) -> None:
    """Minimize `loss` over these tensors: L-BFGS with a line search."""
    for tensor in moving:
        tensor.requires_grad_(True)
    optimizer = torch.optim.LBFGS(list(moving), max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        found = loss()
        found.backward()
        return found

    with torch.enable_grad():
        optimizer.step(closure)
    for tensor in moving:
        tensor.requires_grad_(False)


PENALTIES = (0.01, 0.1, 1.0, 10.0)

Map = tuple[Float[Tensor, "m k k"], Float[Tensor, "k"]]


def fit_map(
    outputs: Float[Tensor, "m n k *s"],
    y: Shaped[Tensor, "n ..."],
    groups: Int[Tensor, "n"],
    task: Task,
) -> Map:
    """Regularized linear stacking, its penalty chosen by cross-validation over patients.

    Source: Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1. The map is shrunk towards the
    unweighted mean of the members (of their log probabilities), not towards 0: with few images it
    falls back to the plain ensemble.
    """
    folds = folds_of(task.present_classes(y), groups)
    if not folds:
        return _fitted(outputs, y, task, PENALTIES[-1])

    def judged(penalty: float) -> float:
        return sum(
            float(task.loss(_say(outputs[:, held], fitted, task), y[held])) * len(held)
            for rest, held in folds
            for fitted in [_fitted(outputs[:, rest], y[rest], task, penalty)]
        )

    return _fitted(outputs, y, task, min(PENALTIES, key=judged))


def plain_map(members: int, k: int) -> Map:
    """The map of the unweighted mean."""
    return torch.eye(k).expand(members, k, k).clone() / members, torch.zeros(k)


def _fitted(outputs: Tensor, y: Tensor, task: Task, penalty: float) -> Map:
    weight, bias = (t.to(outputs) for t in plain_map(len(outputs), outputs.shape[2]))
    mean = weight.clone()

    def loss() -> Tensor:
        pull = (weight - mean).square().sum() + bias.square().sum()
        return task.loss(_say(outputs, (weight, bias), task), y) + penalty * pull

    lbfgs_minimize(loss, [weight, bias])
    return weight.float(), bias.float()


def _say(outputs: Tensor, fitted: Map, task: Task) -> Tensor:
    weight, bias = (t.to(outputs) for t in fitted)
    return stacked_outputs(outputs, weight, bias, str(task.link))


def equal_scores(members: int) -> Float[Tensor, "m"]:
    """Scores of the unweighted mean."""
    return torch.zeros(members)


def fit_scores(
    outputs: Float[Tensor, "m n k *s"], y: Shaped[Tensor, "n ..."], task: Task
) -> Float[Tensor, "m"]:
    """Scores whose softmax, as weights of the mean, minimizes the task's loss.

    Source: Breiman 1996, doi:10.1007/BF00117832 (stacked regressions with non-negative weights).
    Where we differ: probabilities are averaged, where there are any; weights sum to 1; and a
    symmetric Dirichlet prior with parameter 2 (one pseudo-image for each member) keeps few images
    from giving all the weight to one member.
    """
    scores = torch.zeros(len(outputs), dtype=outputs.dtype)
    link = str(task.link)

    def loss() -> Tensor:
        prior = -scores.log_softmax(0).sum() / len(y)
        return task.loss(mixed(outputs, scores, link), y) + prior

    lbfgs_minimize(loss, [scores])
    return scores.float()


AT_ONCE = 32  # batch size of prediction


@torch.no_grad()
def outputs_of(
    several: EnsembleMembers, shown: Examples, watch: Watch = quiet
) -> Float[Tensor, "m n k *s"]:
    """Outputs of all members in double precision, for the fit of weights."""
    like, found = any_tensor(several), []
    with eval_mode(several), watch(len(shown), 0) as tick:
        for part in torch.arange(len(shown)).split(AT_ONCE):
            found.append(several.said(shown.x[part].to(like)).double().cpu())
            tick(int(part[-1]) + 1, None)
    return torch.cat(found, 1)


def shown_in(images: Dataset | Examples, card: Card) -> Examples:
    """The images with the preprocessing of `card`."""
    if isinstance(images, Examples):
        return images
    form = (getattr(card.preprocessing, name, None) for name in ("channels", "size"))
    channels, size = form
    return (images.at(channels, size) if channels and size else images).examples()


def groups_of(shown: Examples) -> Int[Tensor, "n"]:
    """Patient number of each image, -1 where unknown."""
    known = shown.groups
    return torch.full((len(shown),), -1) if known is None else known.cpu()


def soup(members: Sequence[Predictor]) -> Predictor:
    """Uniform soup, with the inference cost of a single member.

    Source: Wortsman et al. 2022, arXiv:2203.05482. Members must be fine-tuned from the same
    weights, or be snapshots of one run. The mean of networks with different initialization does
    not work, which cannot be detected from the files: evaluate the soup.

    Raises:
        DataError: members of different modules, options or shapes.
    """
    for i, member in enumerate(members[1:], 2):
        if recipe(member) != recipe(members[0]):
            raise DataError(
                f"Model {i} is not built as model 1 is (other modules, options or sizes), so "
                "their weights cannot be averaged. Take 'mean', which averages outputs."
            )
    mean = members[0].freeze()
    states = [member.state_dict() for member in members]
    mean.load_state_dict({name: _mean([s[name] for s in states]) for name in states[0]})
    return mean


def greedy_soup(
    members: Sequence[Predictor], judge: Callable[[Predictor], float]
) -> tuple[Predictor, list[int]]:
    """Greedy soup and its member indices: the best, and each further one that does not hurt.

    Source: Wortsman et al. 2022, arXiv:2203.05482. `judge` is the loss of a predictor on images
    that no member was trained on.
    """
    losses = [judge(member) for member in members]
    order = sorted(range(len(members)), key=losses.__getitem__)
    chosen, best = [order[0]], losses[order[0]]
    for i in order[1:]:
        found = judge(soup([members[j] for j in (*chosen, i)]))
        if found <= best:
            chosen, best = [*chosen, i], found
    return soup([members[j] for j in chosen]), chosen


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack([t.double() for t in tensors]).mean(0).to(tensors[0])


def answers_of(output: Float[Tensor, "n k *s"], dataset: Dataset, task: Task) -> OutOfFold:
    """Outputs for all images of `dataset` as predictions for evaluation."""
    y, own = dataset.examples().y.numpy(), own_groups(dataset.groups).numpy()
    strata = rarest(dataset.present_classes()).numpy()
    return OutOfFold(task.decode(output).numpy(), y, own, 0, task, strata)


def best_member(outputs: Float[Tensor, "m n k *s"], shown: Examples, task: Task) -> int:
    """The member with the best leading metric on these images; of equals the first."""
    score, y = task.metrics[task.leading], shown.y.cpu().numpy()
    found = [score(*task.metric_inputs(task.decode(o).numpy(), y)) for o in outputs]
    return int(np.argmax(found))


def left_out(
    outputs: Float[Tensor, "m n k *s"], shown: Examples, task: Task, how: str
) -> Float[Tensor, "n k *s"] | None:
    """Out-of-fold outputs of an ensemble: each image by weights fitted without its patient.

    None where a class has only one patient, so that cross-validation is impossible.
    """
    y, groups, link = shown.y.cpu(), groups_of(shown), str(task.link)
    folds = folds_of(task.present_classes(y), groups)
    found = torch.empty_like(outputs[0])
    for rest, held in folds:
        if how == "weighted":
            scores = fit_scores(outputs[:, rest], y[rest], task).double()
            found[held] = mixed(outputs[:, held], scores, link)
        else:
            fitted = fit_map(outputs[:, rest], y[rest], groups[rest], task)
            weight, bias = (t.double() for t in fitted)
            found[held] = stacked_outputs(outputs[:, held], weight, bias, link)
    return found if folds else None
