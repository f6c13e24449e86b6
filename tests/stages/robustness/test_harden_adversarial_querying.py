"""Adversarial querying: the meta-loss becomes that of the attacked query, with any learner."""

import pytest
import torch

import medshot
from medshot.core.episode import Episode
from medshot.core.errors import ConfigError
from medshot.data.episodes import EpisodeSampler
from medshot.learners import learners
from medshot.stages.robustness.attacks import PGD
from medshot.stages.robustness.harden import AdversarialQuerying
from medshot.tasks import Classification
from medshot.training.gradient import Gradient
from medshot.training.objective import Objective
from medshot.training.run import load_run
from toys.training import blobs

ANY = [
    name
    for name, kind in learners().items()
    if kind.trainable and issubclass(Classification, kind.supports)
]
TRAIN = {"way": 3, "shot": 1, "query": 2, "steps": 2, "meta_batch": 2, "val_episodes": 2}


def _learner(name="prototypical"):
    torch.manual_seed(0)
    encoder = medshot.encoder("conv4", channels=1, size=16, width=8)
    return medshot.build(name, encoder=encoder)


def _episode(i=0):
    return EpisodeSampler(blobs().at(1, 16), way=3, shot=1, query=2).episode(i)


@pytest.mark.parametrize("name", ["prototypical", "maml"])
def test_with_a_share_of_one_the_objective_is_the_loss_of_the_attacked_query(name):
    learner, episode = _learner(name), _episode()
    term = AdversarialQuerying(8 / 255, steps=2)
    found = Objective(learner, [term])([episode])
    predictor = learner.learn(episode.support, episode.task)
    attacked = term.attack(predictor, episode.task, episode.query)
    expected = episode.task.loss(predictor(attacked), episode.query.y)
    torch.testing.assert_close(found, expected)
    assert found > learner.meta_loss(episode)


@pytest.mark.parametrize("name", ANY)
def test_it_teaches_every_learner(name):
    learner, episode = _learner(name), _episode()
    learner.train()
    learner.zero_grad()
    AdversarialQuerying(8 / 255, steps=1).value(learner, [episode]).backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in learner.parameters())
    assert learner.training


def test_what_is_learned_with_it_holds_out_better():
    wrong = {}
    for terms in ((), (AdversarialQuerying(16 / 255, steps=3),)):
        learner = _learner()
        objective, optimizer = Objective(learner, terms), torch.optim.Adam(learner.parameters())
        for i in range(25):
            optimizer.zero_grad()
            objective([_episode(i)]).backward()
            optimizer.step()
        wrong[len(terms)] = sum(_attacked_loss(learner, _episode(i)) for i in range(1000, 1006))
    assert wrong[1] < wrong[0]


def _attacked_loss(learner, episode: Episode) -> float:
    predictor = learner.adapt(episode.support, episode.task)
    term = AdversarialQuerying(16 / 255, steps=10)
    attacked = term.attack(predictor, episode.task, episode.query)
    return episode.task.loss(predictor(attacked), episode.query.y).item()


def test_threads_give_the_same_as_one():
    terms = [AdversarialQuerying(8 / 255, steps=2)]
    plain, other = _learner().double(), _learner().double()
    like = torch.zeros((), dtype=torch.float64)
    drawn = [_episode(i) for i in range(4)]
    episodes = [Episode(e.task, e.support.to(like), e.query.to(like)) for e in drawn]
    expected = Gradient(Objective(plain, terms)).backward(episodes, 4)
    found = Gradient(Objective(other, terms), workers=2).backward(episodes, 4)
    assert found == pytest.approx(expected)


def test_a_run_records_and_cites_it_and_one_pass_is_refused(tmp_path):
    terms = [AdversarialQuerying(8 / 255, steps=1)]
    medshot.train(_learner(), blobs(), out=tmp_path, terms=terms, **TRAIN)
    about = load_run(tmp_path).about
    assert any(source.startswith("Goldblum") for source in about["cite"])
    other = [AdversarialQuerying(4 / 255, steps=1)]
    with pytest.raises(ConfigError, match=r"epsilon was 8/255 and is 4/255"):
        medshot.train(_learner(), blobs(), out=tmp_path, terms=other, **TRAIN)
    with pytest.raises(ConfigError, match="no path for several tasks"):
        medshot.train(_learner(), blobs(), terms=terms, vectorise=True, **TRAIN)


def test_numbers_that_cannot_be():
    with pytest.raises(ConfigError, match="write 8/255"):
        AdversarialQuerying(8.0)
    with pytest.raises(ConfigError, match="share"):
        AdversarialQuerying(share=0.0)
    assert isinstance(AdversarialQuerying().attack, PGD)
