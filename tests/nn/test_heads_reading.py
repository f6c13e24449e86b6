"""A reading: its reader's scores beside a linear head."""

import torch

import toys
from medshot.nn.heads import InContextPredictor, Reader, widened


class Counter(Reader):
    """Scores the classes by the number in its memory, times 0, 1, 2, ..."""

    def remember(self, z, labels):
        return labels.sum()

    def answer(self, z, memory):
        return memory * torch.arange(20.0).expand(len(z), -1)


def test_the_scores_are_the_readers_of_the_first_classes_and_the_linear_heads():
    encoder, x = toys.Projection(outputs=5), toys.images()
    weight, bias = torch.randn(5, 3), torch.randn(3)
    predictor = InContextPredictor(encoder, Counter(), torch.tensor(2.0), weight, bias)
    z = encoder(x)
    for i, scores in enumerate(predictor(x)):
        for c in range(3):
            torch.testing.assert_close(scores[c], 2.0 * c + z[i] @ weight[:, c] + bias[c])


def test_nothing_after_the_features_is_in_half_precision():
    weight, bias = torch.randn(32, 3), torch.randn(3)
    predictor = InContextPredictor(toys.Projection(), Counter(), torch.tensor(1.0), weight, bias)
    z = torch.randn(6, 32)
    exact = predictor.answer(z)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(predictor.answer(z), exact, rtol=0, atol=0)


def test_widened_features_have_a_mean_square_of_one_and_their_direction():
    z = torch.randn(3, 5)
    for wide, narrow in zip(widened(z), z, strict=True):
        torch.testing.assert_close(wide.square().mean(), torch.tensor(1.0))
        torch.testing.assert_close(wide / wide.norm(), narrow / narrow.norm())
