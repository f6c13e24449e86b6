"""The card says what an encoder learned from and under what licence, or that nobody knows."""

from medshot.pretraining.store import encoder_card

TABLE = {
    "encoder": {"part": "encoder/conv4", "options": {}},
    "created": "2026-01-01",
    "versions": {"medshot": "0.1"},
}
SET = {"name": "skin", "count": 60, "patients": 12, "licence": "CC BY 4.0"}


def test_every_data_set_is_listed_with_its_licence() -> None:
    card = encoder_card({**TABLE, "about": {"origin": "pretrained on skin", "data": [SET]}})
    assert "# A medshot encoder: conv4" in card
    assert "| skin | 60 | 12 | CC BY 4.0 |" in card
    assert "Research use only" in card


def test_weights_from_elsewhere_are_said_to_be_from_there() -> None:
    card = encoder_card({**TABLE, "about": {"origin": "weights of net.npz"}})
    assert "Weights: weights of net.npz." in card
    assert "The data are not recorded." in card
