"""Dense features of the packaged MobileNet, against its own maps."""

import torch

from medshot.nn import encoder
from medshot.testing import check_encoder


def test_it_keeps_the_contract_of_encoders() -> None:
    check_encoder(encoder("mobilenet-maps", size=32))


def test_the_first_block_is_the_third_map_of_unit_mean_square() -> None:
    made = encoder("mobilenet-maps", size=64)
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = made(x)
        z = made.net.maps(x, ("block3_pw",))[0]
    assert found.shape == (2, made.n_features, 16, 16)
    expected = z / (z.square().mean(1, keepdim=True) + 1e-4).sqrt()
    torch.testing.assert_close(found[:, :128], expected)
    assert made.origin.startswith("ImageNet")


def test_the_projections_are_the_same_each_time_and_keep_lengths() -> None:
    one, other = (encoder("mobilenet-maps", size=32) for _ in range(2))
    torch.testing.assert_close(one.onto_block7_pw, other.onto_block7_pw, rtol=0, atol=0)
    gram = one.onto_block7_pw.T @ one.onto_block7_pw
    torch.testing.assert_close(gram, 4 * torch.eye(128), rtol=1e-4, atol=1e-4)
