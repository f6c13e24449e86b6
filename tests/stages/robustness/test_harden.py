"""Hardening: the model holds out better, the original stays, and a killed descent goes on."""

import pytest
import torch

import medshot
import toys
from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError, DataError, TaskError
from medshot.core.predictor import Predictor, load_predictor
from medshot.core.task import Card
from medshot.data.episodes import EpisodeSampler
from medshot.data.transforms import ImagePreprocessing
from medshot.learners import learners
from medshot.stages.robustness import harden as module
from medshot.stages.robustness.attacks import PGD
from medshot.stages.robustness.harden import AdversarialQuerying, harden
from medshot.stages.robustness.threat_model import ThreatModel
from medshot.tasks import Classification, Segmentation
from medshot.training.gradient import Gradient
from medshot.training.objective import MetaObjective
from medshot.training.run import load_run
from toys.problems import TASKS, learned, loss
from toys.training import blobs

LITTLE = {"epsilon": 8 / 255, "attack_steps": 3, "steps": 25, "batch": 8, "lr": 0.01}


def _problem(task):
    predictor, shown = learned(task)
    task = task.fitted(shown.y)
    labels = tuple(f"class {i}" for i in range(task.n_outputs))
    card = Card(task, labels, ImagePreprocessing(1, toys.SIZE), {"name": "toy"})
    return predictor.with_card(card), shown


def _robust_loss(predictor: Predictor, shown: Examples) -> float:
    task = predictor.known_card().task
    found = PGD(ThreatModel(8 / 255), steps=10)(predictor, task, shown)
    return loss(predictor, task, found, shown.y)


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.kind)
def test_it_holds_out_better_and_the_original_stays(task, attack, tmp_path):
    predictor, shown = _problem(task)
    before = {n: t.clone() for n, t in predictor.state_dict().items()}
    hardened = harden(predictor, shown, attack=attack, **LITTLE)
    assert _robust_loss(hardened, shown) < 0.96 * _robust_loss(predictor, shown)
    assert all(torch.equal(t, before[n]) for n, t in predictor.state_dict().items())
    assert predictor.known_card().stages == ()
    loaded = load_predictor(hardened.save(tmp_path / "saved"))
    assert torch.equal(loaded(shown.x), hardened(shown.x))
    (stage,) = loaded.known_card().stages
    assert stage["stage"] == "harden"
    assert stage["epsilon"] == "8/255"
    assert not any(p.requires_grad for p in hardened.parameters())


def test_it_is_the_public_one_and_takes_a_loaded_folder():
    data = toys.dataset()
    predictor = medshot.build("prototypical", encoder=toys.conv4()).adapt(data)
    hardened = medshot.harden(predictor, data, steps=2, attack_steps=1)
    assert hardened.known_card().stages[0]["images"] == len(data)


def test_killed_and_gone_on_it_ends_with_the_same_bits(tmp_path, monkeypatch):
    predictor, shown = _problem(TASKS[0])
    whole = harden(predictor, shown, **LITTLE)
    clock = iter(range(0, 10**6, 100))
    monkeypatch.setattr("medshot.training.trainer.time.monotonic", lambda: next(clock))
    taken = []

    def dies(*args, **options):
        taken.append(1)
        if len(taken) == 12:
            raise KeyboardInterrupt
        return PGD(*args, **options)

    monkeypatch.setattr(module, "PGD", dies)
    with pytest.raises(KeyboardInterrupt):
        harden(predictor, shown, folder=tmp_path, **LITTLE)
    monkeypatch.setattr(module, "PGD", PGD)
    again = harden(predictor, shown, folder=tmp_path, **LITTLE)
    assert torch.equal(again(shown.x), whole(shown.x))
    with pytest.raises(ConfigError, match="another epsilon"):
        harden(predictor, shown, folder=tmp_path, **{**LITTLE, "epsilon": 1 / 255})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"attack": "fgms"}, "Did you mean 'fgsm'"),
        ({"attack": "square"}, "Known: fgsm, pgd"),
        ({"epsilon": 4.0}, "write 4/255"),
        ({"epsilon": 0.0}, "above 0"),
        ({"norm": "l1"}, "no norm called"),
        ({"share": 0.0}, "share"),
        ({"batch": 0}, "batch is 0"),
        ({"lr": 0.0}, "lr"),
        ({"attack_steps": 0}, "at least 1 step"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong, said):
    predictor, shown = _problem(TASKS[0])
    with pytest.raises(ConfigError, match=said):
        harden(predictor, shown, **{**LITTLE, **wrong})


def test_images_that_cannot_teach_are_refused():
    predictor, shown = _problem(TASKS[0])
    with pytest.raises(DataError, match="no image to harden on"):
        harden(predictor, shown[:0], **LITTLE)
    with pytest.raises(DataError, match=r"Class number\(s\) \[2\]"):
        harden(predictor, shown[shown.y < 2], **LITTLE)
    nan = Examples(torch.full_like(shown.x, torch.nan), shown.y)
    with pytest.raises(ConfigError, match=r"lie in \[0, 1\]"):
        harden(predictor, nan, **LITTLE)


class Stepped(Predictor):
    """Answers through whole numbers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.ones(3))

    def forward(self, x):
        return x.flatten(1).sum(1, keepdim=True).to(torch.int64) * self.weight


def test_what_passes_no_gradient_is_refused_in_words_and_nothing_is_begun(tmp_path):
    predictor, shown = _problem(TASKS[0])
    stepped = Stepped().with_card(predictor.known_card())
    with pytest.raises(TaskError, match="passes no gradient"):
        harden(stepped, shown, folder=tmp_path, **LITTLE)
    assert not list(tmp_path.iterdir())


def test_volumes_are_refused():
    class Form(ImagePreprocessing):
        dims = 3

    predictor, shown = _problem(TASKS[0])
    predictor.card = Card(Segmentation(2), ("a", "b"), Form(1, toys.SIZE), {})
    with pytest.raises(TaskError, match="takes volumes"):
        harden(predictor, shown, **LITTLE)


# Adversarial querying: the meta-loss becomes that of the attacked query, with any learner.


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
    found = MetaObjective(learner, [term])([episode])
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
        objective, optimizer = MetaObjective(learner, terms), torch.optim.Adam(learner.parameters())
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
    expected = Gradient(MetaObjective(plain, terms)).backward(episodes, 4)
    found = Gradient(MetaObjective(other, terms), workers=2).backward(episodes, 4)
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
