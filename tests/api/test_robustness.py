"""A predictor under attack, in one call."""

import medshot
import toys
from toys.commands import folder


def test_attacks_and_corruptions_of_a_predictor_or_its_folder(tmp_path):
    learner = medshot.build("nearest-centroid", encoder=toys.conv4())
    predictor = learner.adapt(medshot.load(folder(tmp_path / "mine")))
    others = folder(tmp_path / "others", first=20)
    few = {"epsilon": ["4/255", 4 / 255, 0.1], "steps": 1, "queries": 2}
    found = medshot.robustness(predictor, others, corruptions=True, **few)
    assert sorted({row.attack.budget.epsilon for row in found.attacked}) == [4 / 255, 0.1]
    assert {"clean", "attacked", "flat", "corruptions", "signs"} <= set(found.to_json())
    assert "pgd" in str(found).lower()
    again = medshot.robustness(predictor.save(tmp_path / "model"), medshot.load(others), **few)
    assert again.to_json()["attacked"] == found.to_json()["attacked"]
