"""Ways are found by scanning and made by name."""

import pytest

from medshot.core.errors import ConfigError
from medshot.finetuning.way import way_called, ways


def test_every_file_is_a_way_with_a_source():
    assert set(ways()) == {"adapter", "all", "bias", "film", "head", "lora"}
    assert all(way.source and way.__doc__ for way in ways().values())


def test_options_are_its_keyword_arguments():
    assert way_called("lora", rank=2).rank == 2


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("lorra", {}, "no way to fine-tune called 'lorra'. Did you mean 'lora'"),
        ("lora", {"rang": 2}, "no option of 'lora' called 'rang'. Did you mean 'rank'"),
        ("head", {"rank": 2}, "no option of 'head' called 'rank'"),
    ],
)
def test_what_is_not_there_is_named(name, options, told):
    with pytest.raises(ConfigError, match=told):
        way_called(name, **options)
