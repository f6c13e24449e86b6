"""A learner and then fine-tuning is a learner: judged, chosen from, recorded as one."""

import torch

import medshot
import toys
from medshot.core.registry import make, recipe
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.cross_validation import cross_validate
from medshot.evaluation.episodes import evaluate
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.selection import Auto
from medshot.stages.finetune import FineTuned
from medshot.tasks import Classification
from toys.training import blobs

TASK = Classification(3)


def _tuned(name="prototypical", **options):
    torch.manual_seed(0)
    return FineTuned(build(name, encoder=toys.conv4()), "film", steps=4, **options)


def test_it_is_adapting_and_then_fine_tuning_with_its_steps_judged_inside():
    tuned, support = _tuned(), toys.episode(TASK).support
    start = tuned.learner.adapt(support, TASK)
    by_hand = medshot.finetune(start, support, "film", task=TASK, steps=4, learner=tuned.learner)
    assert torch.equal(tuned.adapt(support, TASK)(support.x), by_hand(support.x))


def test_from_a_folder_the_card_says_who_learned_and_then_what_was_done():
    dataset = toys.dataset(shots=3)
    found = _tuned().adapt(dataset)
    card = found.known_card()
    assert card.learner["learner"]["part"] == "learner/prototypical"
    assert card.stages[-1]["steps chosen by"] == "images left out"
    examples = dataset.examples()
    same = _tuned().adapt(examples, TASK)
    assert torch.equal(found(examples.x), same(examples.x))


def test_it_is_judged_like_any_other():
    data = blobs(classes=3, each=8)
    pixels = encoder("pixels", channels=1, size=16)
    found = cross_validate(FineTuned(build("lda", encoder=pixels), "head", steps=4), data)
    assert found.interval("balanced accuracy").low > 1 / 3
    source = EpisodeSampler(data, way=3, shot=2, query=2)
    assert evaluate(_tuned(), source, episodes=2).scores["balanced accuracy"].shape == (2,)


def test_its_recipe_makes_it_again():
    assert recipe(make(recipe(_tuned(pull=0.5)))) == recipe(_tuned(pull=0.5))


def test_a_learner_that_chooses_does_so_once_a_support():
    candidates = [build(name, encoder=toys.conv4()) for name in ("lda", "prototypical")]
    tuned, support = FineTuned(Auto(candidates), "head", steps=4), toys.episode(TASK).support
    chosen = tuned.choose(support, TASK)
    assert chosen.learner is tuned.learner.choose(support, TASK)
    assert torch.equal(
        tuned.adapt(support, TASK)(support.x), chosen.learn(support, TASK)(support.x)
    )


def test_it_does_what_the_other_does():
    tuned = _tuned()
    assert tuned.transductive is False
    assert FineTuned(build("tim", encoder=toys.conv4()), "head").transductive
    assert tuned.origin == tuned.learner.origin
