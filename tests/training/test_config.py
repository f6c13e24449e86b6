"""One line an option: its default, its bound, whether it is recorded, and where it is shown."""

import inspect
import math

import pytest

import medshot
from medshot import PretrainConfig, TrainConfig
from medshot.core.errors import ConfigError
from medshot.training.config import Config
from toys.training import blobs, build

BOTH = pytest.mark.parametrize(
    ("function", "config"), [(medshot.train, TrainConfig), (medshot.pretrain, PretrainConfig)]
)


@pytest.mark.parametrize("config", [TrainConfig, PretrainConfig])
@pytest.mark.parametrize("lr", [0.0, -1.0, math.inf, math.nan])
def test_a_rate_that_cannot_be_is_refused(config: type[Config], lr: float) -> None:
    with pytest.raises(ConfigError, match=f"lr={lr}"):
        config(lr=lr)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed=-1"):
        TrainConfig(seed=-1)


def test_a_run_may_go_on_for_more_steps_on_another_device_and_with_nothing_else() -> None:
    left_out = set(TrainConfig.names()) - set(TrainConfig().record())
    assert left_out == {"steps", "device"}
    left_out = set(PretrainConfig.names()) - set(PretrainConfig().record())
    assert left_out == {"steps", "device", "judge_every", "patience"}


def test_an_unknown_option_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'steps'"):
        medshot.train(build("prototypical"), blobs(), stpes=3)
    with pytest.raises(ConfigError, match="Did you mean 'steps'"):
        medshot.pretrain(medshot.encoder("conv4"), blobs(), stpes=3)


@BOTH
def test_the_signature_shows_every_option_with_its_default(function, config) -> None:
    shown = inspect.signature(function).parameters
    defaults = config()
    for name in config.names():
        assert shown[name].default == getattr(defaults, name)
        assert f"    {name} = " in function.__doc__
    assert ("config" in shown) == (function is medshot.pretrain)
