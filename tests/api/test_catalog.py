"""What there is to choose from."""

import pytest

import medshot
from medshot.core.errors import ConfigError


def test_learners_by_task():
    every, masks = medshot.list_learners(), medshot.list_learners("segmentation")
    assert "prototypical" in masks
    assert 0 < len(masks) < len(every)
    assert all("segmentation" in entry.tasks for entry in masks)
    assert "baseline" in every["lda"].remarks
    assert "arXiv:1703.05175" in str(every)
    with pytest.raises(ConfigError, match="Did you mean 'segmentation'"):
        medshot.list_learners("segmentatoin")
    with pytest.raises(ConfigError, match="Did you mean 'maml'"):
        every["mamll"]


def test_encoders():
    found = medshot.list_encoders()
    assert found["unet"].tasks == ("each pixel",)
    assert "width=" in found["conv4"].options
    assert "<td>mobilenet</td>" in found._repr_html_()
