"""Weights that timm fetches from the hub, or finds where the hub's client keeps them."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from medshot.core.errors import DataError
from medshot.nn.encoders.external import Timm, created, library
from medshot.pretraining.weights.reach import reachable

OFFLINE = "HF_HUB_OFFLINE=1"


def from_hub(network: str = "resnet50", **options: Any) -> Timm:
    """The network of timm with the weights that its authors published; options as of `Timm`.

    timm itself brings them to another number of channels, by adding up or by repeating the first
    kernels, and to another size, where a transformer knows places.

    Raises:
        DataError: there are none, or they can neither be found nor fetched.
        ConfigError: timm is not installed, or has no such network.
    """
    encoder = Timm(network=network, **options)
    known = library("timm").models.get_pretrained_cfg(network, allow_unregistered=True)
    if known is None or not known.has_weights:
        raise DataError(f"Nobody published weights of timm/{network}. Name a file, or another.")
    try:
        with _not_waiting(bool(known.hf_hub_id)):
            published = created(network, encoder.channels, encoder.size or 0, pretrained=True)
    except Exception as error:  # every library on the way to the hub has errors of its own
        said = str(error).strip().partition("\n")[0][:200]
        raise DataError(
            f"The weights of timm/{network} ({known.hf_hub_id or known.url}) can neither be found "
            f"here nor fetched ({type(error).__name__}: {said}). Fetch them once where there is a "
            f"network and {OFFLINE} is not set, or name a file: --encoder FILE --set "
            f"encoder.network=timm/{network}."
        ) from error
    encoder.net.load_state_dict(published.state_dict())
    origin = f"published weights of timm/{network} ({known.hf_hub_id or known.url})"
    encoder.about = {"origin": origin}
    return encoder.eval()


@contextmanager
def _not_waiting(by_hub: bool) -> Iterator[None]:
    """Within the block, the hub's client looks only where it keeps files, if no hub is reached."""
    constants: Any = importlib.import_module("huggingface_hub.constants") if by_hub else None
    if constants is None or constants.HF_HUB_OFFLINE or reachable(constants.ENDPOINT):
        yield
        return
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = False
