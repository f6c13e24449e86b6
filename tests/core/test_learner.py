"""What `adapt` adds to `learn`: it changes nothing, whatever the encoder keeps count of."""

import pytest
import torch

import medshot
from medshot.core.episode import Examples
from medshot.core.predictor import eval_mode
from medshot.tasks import Classification


@pytest.mark.parametrize("name", ["prototypical", "maml"])
def test_adapting_while_training_leaves_the_batch_statistics_alone(name):
    encoder = medshot.encoder("conv4", channels=1, size=16, width=4, norm="batch")
    learner = medshot.build(name, encoder=encoder).train()
    before = {key: value.clone() for key, value in learner.state_dict().items()}
    learner.adapt(Examples(torch.rand(4, 1, 16, 16), torch.arange(4) % 2), Classification(2))
    torch.testing.assert_close(dict(learner.state_dict()), before, rtol=0, atol=0)
    assert learner.training
    assert encoder.training


def test_a_frozen_part_stays_frozen_and_an_error_changes_nothing():
    module = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Dropout().eval())
    with pytest.raises(ZeroDivisionError), eval_mode(module):
        _ = 1 / int(module[0].training)
    assert [part.training for part in module] == [True, False]
