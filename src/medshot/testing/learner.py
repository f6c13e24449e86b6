"""The contract of learners."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from medshot.core import TASKS, ConfigError, Episode, Learner, MedshotError, Task
from medshot.learners.registry import build, lookup
from medshot.testing import problems


def require(so: bool, otherwise: str) -> None:
    """Raise `AssertionError` with a message, also under `python -O`."""
    if not so:
        raise AssertionError(otherwise)


def require_close(found: Tensor, wanted: Tensor) -> None:
    """Raise `AssertionError` where two tensors differ by more than rounding."""
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)


def run_check(check: Callable[..., None], *given: Any, who: str) -> None:
    """Run one check, whose docstring is the promise of the contract.

    Raises:
        AssertionError: the promise is broken, or the tested code raised an exception.
        MedshotError: the tested code rejected its input, with its own message.
    """
    try:
        check(*given)
    except MedshotError:
        raise
    except Exception as error:
        stated = getattr(check, "func", check)  # of a partial
        promise = (stated.__doc__ or stated.__name__).strip().splitlines()[0]
        found = str(error) if isinstance(error, AssertionError) else repr(error)
        raise AssertionError(f"{who} breaks the promise: {promise} {found}") from error


def check_learner(
    learner: str | type[Learner],
    *,
    encoder: Callable[[Task], nn.Module] = problems.encoder,
    episodes: Iterable[Episode] | None = None,
    **options: Any,
) -> None:
    """Test that a learner, a registered name or a class with `options`, keeps the contract.

    It is built on `encoder(task)`, by default a small network, and runs on a toy problem of each
    task that it supports, or on `episodes`, for a task of your own.

    Raises:
        AssertionError: the contract is broken; the message says where.
        ConfigError: an unknown name or option, or no toy problem for a task that it supports.
    """
    cls = lookup(learner) if isinstance(learner, str) else learner
    cases = list(_problems(cls) if episodes is None else episodes)
    if not cases:
        raise ConfigError(
            f"There is no toy problem for the tasks of {cls.__name__}: give episodes=[...]."
        )
    for episode in cases:
        for check in CHECKS:
            module = encoder(episode.task)
            made = (
                build(learner, encoder=module, **options)
                if isinstance(learner, str)
                else learner(module, **options).eval()
            )
            own = deepcopy(episode)  # a check that changes it must not affect the next one
            run_check(check, made, own, who=f"{cls.__name__} on {episode.task.kind}")


def _problems(cls: type[Learner]) -> Iterable[Episode]:
    for kind, task in TASKS.all().items():
        if issubclass(task, cls.supports) and kind in problems.TOYS:
            yield problems.episode(problems.task_of(kind))


def leaves_learner_alone(learner: Learner, ep: Episode) -> None:
    """`adapt` does not change the learner and is deterministic."""
    for training in (False, True):
        learner.train(training)
        before = {name: value.clone() for name, value in learner.state_dict().items()}
        first = learner.adapt(ep.support, ep.task)(ep.query.x)
        again = learner.adapt(ep.support, ep.task)(ep.query.x)
        torch.testing.assert_close(first, again, rtol=0, atol=0)
        torch.testing.assert_close(dict(learner.state_dict()), before, rtol=0, atol=0)
        modes = {module.training for module in learner.modules()}
        require(modes == {training}, "The train or eval mode of a module has changed.")
        require(
            all(p.requires_grad and p.grad is None for p in learner.parameters()),
            "A parameter lost `requires_grad`, or holds a gradient.",
        )


def leaves_support_alone(learner: Learner, ep: Episode) -> None:
    """`adapt` does not change the support."""
    x, y = ep.support.x.clone(), ep.support.y.clone()
    learner.adapt(ep.support, ep.task)
    torch.testing.assert_close((ep.support.x, ep.support.y), (x, y), rtol=0, atol=0)


def ignores_order(learner: Learner, ep: Episode) -> None:
    """The order of the support does not matter, unless `order_matters` is set."""
    if learner.order_matters:
        return
    learner, ep = _in_float64(learner, ep)  # Adam amplifies float32 rounding errors
    shuffled = ep.support[torch.randperm(len(ep.support))]
    straight = learner.adapt(ep.support, ep.task)(ep.query.x)
    require_close(learner.adapt(shuffled, ep.task)(ep.query.x), straight)


def ignores_memory_layout(learner: Learner, ep: Episode) -> None:
    """The memory format of images does not matter."""
    learner, ep = _in_float64(learner, ep)
    expected = learner.adapt(ep.support, ep.task)(ep.query.x)
    for lay in (_channels_last, _strided):
        support, query = (replace(e, x=lay(e.x)) for e in (ep.support, ep.query))
        output = learner.adapt(support, ep.task)(query.x)
        require_close(output, expected)


def answers_alone_as_among_others(learner: Learner, ep: Episode) -> None:
    """The output for an image does not depend on the batch, unless `transductive` is set."""
    predictor = learner.adapt(ep.support, ep.task)
    require(
        predictor.transductive == learner.transductive,
        f"`transductive` is {learner.transductive} on the learner and "
        f"{predictor.transductive} on its predictor.",
    )
    if learner.transductive:
        return
    alone = torch.cat([predictor(x[None]) for x in ep.query.x])
    require_close(alone, predictor(ep.query.x))


def gives_a_row_an_image(learner: Learner, ep: Episode) -> None:
    """Outputs are finite, `n k ...` for n images and k outputs, and have a loss."""
    output = learner.adapt(ep.support, ep.task)(ep.query.x)
    wanted = (len(ep.query), ep.task.n_outputs)
    require(output.shape[:2] == wanted, f"Shape {tuple(output.shape)} must start with {wanted}.")
    require(output.device == ep.query.x.device, f"Outputs are on {output.device}.")
    require(bool(output.isfinite().all()), "Not all outputs are finite.")
    require(ep.task.loss(output, ep.query.y).shape == (), "The loss is not a scalar.")


def does_any_number_of_classes(learner: Learner, ep: Episode) -> None:
    """2 and 7 classes work, also with one image of each."""
    for k in (2, 7) if ep.task.kind in problems.TOYS else ():
        other = problems.episode(problems.task_of(ep.task.kind, k), shots=1)
        output = learner.adapt(other.support, other.task)(other.query.x)
        require(
            output.shape[1] == other.task.n_outputs,
            f"{output.shape[1]} outputs, not {other.task.n_outputs}.",
        )
        require(bool(output.isfinite().all()), f"Not all outputs for {k} classes are finite.")


def does_unequal_classes(learner: Learner, ep: Episode) -> None:
    """Classes may have different numbers of images."""
    if ep.task.kind not in problems.TOYS or not problems.has_classes(ep.task):
        return
    few = problems.without(ep.support[3:], 1)  # of three classes
    support = ep.support[:3] + problems.without(few, 2)
    require(
        ep.task.present_classes(support.y).sum(0).unique().numel() > 1,
        "The classes of the toy are equal.",
    )
    output = learner.adapt(support, ep.task)(ep.query.x)
    require(bool(output.isfinite().all()), "Not all outputs are finite.")


def does_without_gradients(learner: Learner, ep: Episode) -> None:
    """`adapt` works under `torch.no_grad()`, and on a learner without `requires_grad`."""
    expected = learner.adapt(ep.support, ep.task)(ep.query.x).detach()
    with torch.no_grad():
        without = learner.adapt(ep.support, ep.task)(ep.query.x)
    require(not without.requires_grad, "Outputs require a gradient under `torch.no_grad()`.")
    require_close(without, expected)
    still = learner.requires_grad_(False).adapt(ep.support, ep.task)
    require_close(still(ep.query.x).detach(), expected)


CHECKS = (
    leaves_learner_alone,
    leaves_support_alone,
    ignores_order,
    ignores_memory_layout,
    answers_alone_as_among_others,
    gives_a_row_an_image,
    does_any_number_of_classes,
    does_unequal_classes,
    does_without_gradients,
)


def _in_float64(learner: Learner, ep: Episode) -> tuple[Learner, Episode]:
    like = torch.zeros((), dtype=torch.float64)
    return learner.double(), replace(ep, support=ep.support.to(like), query=ep.query.to(like))


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def _strided(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, dim=-1)[..., ::2]
