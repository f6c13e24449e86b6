import numpy as np

from medshot.evaluation.report import Prediction, Support, SupportImage

PIXELS = np.zeros((1, 4, 4), dtype=np.uint8)


def test_a_prediction_knows_whether_it_is_right() -> None:
    assert Prediction(PIXELS, "a", "a", 0.9).correct
    assert not Prediction(PIXELS, "a", "b", 0.9).correct


def test_support_images_follow_the_order_of_the_labels() -> None:
    images = tuple(SupportImage(PIXELS, label) for label in ("b", "a", "b"))
    groups = Support(("a", "b", "never shown"), 3, None, images).by_label()
    assert {label: len(shown) for label, shown in groups.items()} == {"a": 1, "b": 2}
    assert list(groups) == ["a", "b"]
