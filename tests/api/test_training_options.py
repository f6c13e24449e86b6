"""What `medshot pretrain` is given: options for two, folders in the encoder's form."""

from pathlib import Path

import pytest

from medshot.api.training import objective_options, pretraining_data
from medshot.core.errors import ConfigError, DataError
from medshot.pretraining import objectives
from toys import conv4
from toys.commands import folder


def test_options_go_to_the_objective_and_to_the_encoder() -> None:
    kind, own, of_encoder = objective_options("reconstruct", ["mask=0", "encoder.width=8"])
    assert (kind, own, of_encoder) == (objectives()["reconstruct"], {"mask": 0.0}, {"width": 8})


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("contrats", [], "Did you mean 'contrast'"),
        ("contrast", ["chunks=3"], "Did you mean 'chunk'"),
        ("contrast", ["labels=1"], "labels, is bool, not 1"),
    ],
)
def test_what_cannot_be_is_said(name: str, given: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        objective_options(name, given)


def test_images_come_in_the_form_of_the_encoder_and_colour_with_three_channels(
    tmp_path: Path,
) -> None:
    place = folder(tmp_path / "A", (4, 4))
    sets = pretraining_data([place], None, conv4(), objectives()["contrast"])
    assert sets[0].x.shape == (8, 1, 16, 16)
    with pytest.raises(DataError, match="no colour in A"):
        pretraining_data([place], None, conv4(), objectives()["colourise"])
