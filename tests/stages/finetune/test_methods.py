"""Ways are found by scanning and made by name."""

import pytest

from medshot.core.errors import ConfigError
from medshot.stages.finetune.methods import get_method, methods


def test_every_file_is_a_way_with_a_source():
    assert set(methods()) == {"adapter", "all", "bias", "film", "head", "lora"}
    assert all(way.source and way.__doc__ for way in methods().values())


def test_options_are_its_keyword_arguments():
    assert get_method("lora", rank=2).rank == 2


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("lorra", {}, "no fine-tuning method called 'lorra'. Did you mean 'lora'"),
        ("lora", {"rang": 2}, "no option of 'lora' called 'rang'. Did you mean 'rank'"),
        ("head", {"rank": 2}, "no option of 'head' called 'rank'"),
    ],
)
def test_what_is_not_there_is_named(name, options, told):
    with pytest.raises(ConfigError, match=told):
        get_method(name, **options)
