"""Model-agnostic meta-learning: an initialization that adapts in a few gradient steps."""

from collections.abc import Iterator, Mapping
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from medshot.core import Examples, Learner, Predictor, Task, TaskError
from medshot.inner.rules import SGD, Params, UpdateRule
from medshot.inner.unroll import Loss, path
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import Linear, rows_to_grid, sites, zero_head
from medshot.tasks import (
    Classification,
    Enhancement,
    MultiLabel,
    Ordinal,
    Regression,
    Segmentation,
)


@register("maml")
class MAML(Learner):
    """Adapts meta-learned weights by `steps` gradient steps on the support.

    Source: Finn, Abbeel & Levine 2017, arXiv:1703.03400, algorithm 2. The paper's symbols:
    theta is `encoder` and the head, alpha is `lr` (for the mean loss over the support), f_theta
    the two together. The meta-gradient is exact: it passes through the inner gradients.

    Where we differ: with `way=None` the head starts at zero, so that one learner handles any
    number of classes and is invariant to class order (Kao et al. 2022, arXiv:2106.15367, zero the
    head for this reason). The first inner step then updates only the head, so use at least two.
    An integer `way` gives the paper's meta-learned head, for tasks with exactly that many
    classes. `test_steps` may exceed `steps`, as in the paper. `remat` recomputes inner steps in
    the backward pass, so that memory does not grow with `steps` (see `medshot.inner.unroll`).
    """

    supports = (
        Classification,
        Enhancement,
        MultiLabel,
        Ordinal,
        Regression,
        Segmentation,
    )
    source = "Finn et al. 2017, arXiv:1703.03400"
    vectorizes = True
    adapts_encoder = True
    first_order = False

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int | None = None,
        lr: float = 0.03,
        steps: int = 5,
        test_steps: int | None = None,
        remat: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.way, self.remat = encoder, way, remat
        self.steps, self.test_steps = steps, steps if test_steps is None else test_steps
        self.head = nn.Linear(n_features(encoder), way) if way else None
        self.rule = self.make_rule(lr)

    def make_rule(self, lr: float) -> UpdateRule:
        """Return the update rule: SGD with one fixed learning rate."""
        return SGD(lr)

    def check(self, task: Task) -> None:
        """Also raise `TaskError` if the number of classes differs from the head's."""
        super().check(task)
        if self.way not in (None, task.n_outputs):
            raise TaskError(
                f"This MAML has a head for {self.way} classes, but the task has "
                f"{task.n_outputs}. Train with way=None for tasks of any number of classes."
            )

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Run the inner loop (algorithm 2, line 6)."""
        *_, end = self.path(support, task)
        return Adapted(self.encoder, end)

    def path(self, support: Examples, task: Task) -> Iterator[Params]:
        """Parameters after 0, 1, 2, ... inner steps."""
        start = self.start(support.x, task)
        loss = self.inner_loss(support, task, start)
        steps = self.steps if self.training else self.test_steps
        captured = self.captured(start) if self.remat else None
        return path(
            start, loss, self.rule, steps=steps, first_order=self.first_order, captured=captured
        )

    def captured(self, start: Params) -> list[Tensor]:
        """Meta-learned tensors that inner steps read, other than the adapted parameters."""
        del start
        return list(self.rule.parameters())

    def inner_loss(self, support: Examples, task: Task, start: Params) -> Loss:
        """Support loss as a function of the adapted parameters."""
        del start
        return lambda params: task.loss(output(self.encoder, params, support.x), support.y)

    def start(self, x: Tensor, task: Task) -> Params:
        """Initial parameters, with dtype and device of `x`."""
        if self.head is None:
            weight, bias = task.first_head(n_features(self.encoder), like=x)
        else:
            weight, bias = self.head.weight.T, self.head.bias
        body = {f"encoder.{n}": p for n, p in self.encoder.named_parameters()}
        return {**body, "head.weight": weight, "head.bias": bias}

    def learned(self, start: Params) -> Params:
        """The meta-learned subset of `start`: excludes a head that is created for each task."""
        return {n: p for n, p in start.items() if self.head is not None or n.startswith("encoder.")}

    def template(self) -> Params:
        """Parameters whose names and shapes define per-parameter learning rates.

        If the number of classes is not fixed, the head has one column, shared by all classes.
        """
        body = {f"encoder.{n}": p for n, p in self.encoder.named_parameters()}
        weight, bias = zero_head(n_features(self.encoder), self.way or 1, like=torch.zeros(()))
        return {**body, "head.weight": weight, "head.bias": bias}


@register("fomaml")
class FirstOrderMAML(MAML):
    """First-order MAML: the meta-gradient is the query gradient at the adapted weights.

    Source: Finn, Abbeel & Levine 2017, arXiv:1703.03400, sec. 5.2 ("first order
    approximation"): second derivatives are omitted.
    """

    exact = False
    first_order = True


class Adapted(Predictor):
    """Encoder and linear head evaluated at adapted parameters, kept in the autograd graph."""

    def __init__(self, encoder: nn.Module, params: Params) -> None:
        super().__init__()
        self.encoder = encoder
        self.transductive = bool(getattr(encoder, "transductive", False))
        self._names = list(params)
        for i, value in enumerate(params.values()):
            self.register_buffer(f"adapted_{i}", value)

    @property
    def params(self) -> Params:
        """Adapted parameters by name."""
        return {n: cast(Tensor, getattr(self, f"adapted_{i}")) for i, n in enumerate(self._names)}

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k *t"]:
        """Logits per image, or per site for dense tasks."""
        return output(self.encoder, self.params, x)

    def freeze(self) -> Linear:
        """Copy with the adapted weights written into a plain encoder, plus a linear head."""
        copied = cast(Adapted, super().freeze())
        own = dict(copied.encoder.named_parameters())
        with torch.no_grad():
            for name, value in copied.params.items():
                if name.startswith("encoder."):
                    own[name.removeprefix("encoder.")].copy_(value)
        head = Linear(copied.encoder, copied.params["head.weight"], copied.params["head.bias"])
        head.card = self.card
        return cast(Linear, head.eval().requires_grad_(False))


def output(encoder: nn.Module, params: Mapping[str, Tensor], x: Tensor) -> Float[Tensor, "n k *t"]:
    """Compute `head(encoder(x))` with `params` in place of the modules' own."""
    body = {n.removeprefix("encoder."): p for n, p in params.items() if n.startswith("encoder.")}
    z = functional_call(encoder, body, (x,)).to(params["head.weight"].dtype)
    return rows_to_grid(sites(z) @ params["head.weight"] + params["head.bias"], z)
