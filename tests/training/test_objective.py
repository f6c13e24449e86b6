"""Terms beside the meta-loss: each does what it says, with any learner, on any path."""

import pytest
import torch

import medshot
from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError, TaskError
from medshot.data.augment import Mixed
from medshot.data.episodes import EpisodeSampler
from medshot.learners import learners
from medshot.tasks import Classification
from medshot.training.gradient import Gradient
from medshot.training.objective import MetaObjective, SelfDistillation, TaskContrast
from medshot.training.run import load_run
from toys.training import blobs

ANY = [
    name
    for name, kind in learners().items()
    if kind.trainable and issubclass(Classification, kind.supports)
]
TRAIN = {"way": 3, "shot": 1, "query": 2, "steps": 3, "meta_batch": 2, "val_episodes": 2}


def _learner(name="prototypical", seed=0):
    torch.manual_seed(seed)
    encoder = medshot.encoder("conv4", channels=1, size=16, width=8)
    return medshot.build(name, encoder=encoder)


def _episodes(count=2, way=3):
    return [_sampler(way).episode(i) for i in range(count)]


def _sampler(way=3):
    return EpisodeSampler(blobs().at(1, 16), way=way, shot=1, query=2)


@pytest.mark.parametrize("name", ANY)
def test_contrast_and_distillation_teach_every_learner(name):
    learner = _learner(name)
    terms = [TaskContrast(0.5), SelfDistillation(_learner(seed=1))]
    for term in terms:
        learner.zero_grad()
        learner.train()
        loss = term.value(learner, _episodes(term.tasks))
        loss.backward()
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in learner.parameters())


def test_a_task_is_nearer_to_itself_than_to_another():
    learner, (first, second) = _learner(), _episodes()
    same = Episode(first.task, first.support, first.query)
    nothing_between = TaskContrast(1.0).value(learner, [first, same])
    other = TaskContrast(1.0).value(learner, [first, second])
    assert other < nothing_between  # D_out is zero for one task twice


def test_contrast_does_not_mind_what_classes_are_called_or_how_many_they_are():
    learner, (first, second) = _learner(), _episodes()
    renamed = Episode(
        second.task,
        Examples(second.support.x, 2 - second.support.y),
        Examples(second.query.x, 2 - second.query.y),
    )
    pair, other = ([first, e] for e in (second, renamed))
    expected, found = (TaskContrast().value(learner, p) for p in (pair, other))
    torch.testing.assert_close(expected, found)
    assert TaskContrast().value(learner, [first, *_episodes(1, way=2)]).isfinite()


def test_a_teacher_of_itself_has_nothing_to_say_and_stays_as_it_is():
    teacher, (episode,) = _learner(), _episodes(1)
    before = [p.clone() for p in teacher.parameters()]
    same = SelfDistillation(teacher).value(_learner(), [episode])
    assert same.item() == pytest.approx(0.0, abs=1e-6)
    other = SelfDistillation(teacher).value(_learner(seed=1), [episode])
    assert other > 1e-4
    other.backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.parameters(), strict=True))


def test_temperature_softens_and_the_gradient_keeps_its_size():
    teacher, (episode,) = _learner(), _episodes(1)
    student = _learner(seed=1)
    found = [
        SelfDistillation(teacher, temperature=t).value(student, [episode]).item()
        for t in (100.0, 200.0)
    ]
    assert found[0] == pytest.approx(found[1], rel=0.05)


@pytest.mark.parametrize("way", [{}, {"workers": 2}, {"one_pass": True}], ids=str)
@pytest.mark.parametrize("name", ["prototypical", "maml"])
def test_terms_on_every_path_give_the_same(name, way):
    terms = [TaskContrast(0.5), SelfDistillation(_learner(name, seed=1))]
    plain, other = _learner(name).double(), _learner(name).double()
    like = torch.zeros((), dtype=torch.float64)
    episodes = [Episode(e.task, e.support.to(like), e.query.to(like)) for e in _episodes(4)]
    for term in terms:
        term.double()
    expected = Gradient(MetaObjective(plain, terms)).backward(episodes, 4)
    found = Gradient(MetaObjective(other, terms), **way).backward(episodes, 4)
    assert found == pytest.approx(expected)
    for ours, theirs in zip(other.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-9, rtol=1e-6)


def test_a_run_records_its_terms_and_another_term_is_another_run(tmp_path):
    medshot.train(_learner(), blobs(), out=tmp_path, terms=[TaskContrast(0.5)], **TRAIN)
    medshot.train(_learner(), blobs(), out=tmp_path, terms=[TaskContrast(0.5)], **TRAIN)
    with pytest.raises(ConfigError, match=r"weight was 0.5 and is 0.2"):
        medshot.train(_learner(), blobs(), out=tmp_path, terms=[TaskContrast(0.2)], **TRAIN)


def test_pairs_of_tasks_need_an_even_number_of_them_and_nothing_is_written_before(tmp_path):
    options = {**TRAIN, "terms": [TaskContrast()], "out": tmp_path / "run"}
    with pytest.raises(ConfigError, match="multiple of 2"):
        medshot.train(_learner(), blobs(), **{**options, "meta_batch": 3})
    assert not (tmp_path / "run").exists()


def test_terms_that_look_at_two_and_at_three_tasks_get_chunks_of_six():
    three = TaskContrast()
    three.tasks = 3
    assert MetaObjective(_learner(), [TaskContrast(), three]).tasks == 6


def test_a_term_with_something_to_train_is_refused():
    term = TaskContrast()
    term.scale = torch.nn.Parameter(torch.ones(()))
    with pytest.raises(ConfigError, match="a term must have none"):
        MetaObjective(_learner(), [term])


def test_another_teacher_is_another_run(tmp_path):
    teach = [SelfDistillation(_learner(seed=seed)) for seed in (1, 2)]
    medshot.train(_learner(), blobs(), out=tmp_path, terms=teach[:1], **TRAIN)
    with pytest.raises(ConfigError, match="teacher_weights"):
        medshot.train(_learner(), blobs(), out=tmp_path, terms=teach[1:], **TRAIN)


def test_a_learner_may_be_its_own_teacher_and_stays_trainable():
    learner = _learner()
    medshot.train(learner, blobs(), terms=[SelfDistillation(learner)], **TRAIN)
    assert all(p.requires_grad for p in learner.parameters())


def test_a_teacher_of_another_number_of_classes_says_so():
    torch.manual_seed(0)
    encoder = medshot.encoder("conv4", channels=1, size=16, width=8)
    teacher = medshot.build("maml", encoder=encoder, way=5)
    with pytest.raises(TaskError, match="head for 5 classes"):
        SelfDistillation(teacher).value(_learner(), _episodes(1))


def test_a_run_cites_its_terms_and_a_teacher(tmp_path):
    terms = [TaskContrast(), SelfDistillation(_learner("maml"))]
    medshot.train(_learner(), Mixed(_sampler()), val=_sampler(), out=tmp_path, terms=terms, **TRAIN)
    cited = load_run(tmp_path).about["cite"]
    for author in ("Wu", "Furlanello", "Finn", "Ni"):
        assert any(reference.startswith(author) for reference in cited)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_cannot_be(weight):
    with pytest.raises(ConfigError, match="above 0"):
        TaskContrast(weight)
    with pytest.raises(ConfigError, match="above 0"):
        SelfDistillation(_learner(), weight=weight)
    with pytest.raises(ConfigError, match="above 0"):
        SelfDistillation(_learner(), temperature=weight)
