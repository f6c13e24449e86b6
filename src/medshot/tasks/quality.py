"""How like an image is to the one that was wanted: PSNR and SSIM, an image at a time."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.core.task import Metric

MOST = 100.0  # dB: what is the same to within 1/400 of an 8-bit step counts as the same
SIGMA, REACH = 1.5, 5  # pixels: the window of SSIM, and how far it reaches
K1, K2 = 0.01, 0.03


def psnr(image: Float[ndarray, "k h w"], wanted: Float[ndarray, "k h w"]) -> float:
    """Peak signal-to-noise ratio in dB, the peak being 1, over all channels; at most `MOST`."""
    error = float(np.mean((image - wanted) ** 2))
    return MOST if error <= 10 ** (-MOST / 10) else -10 * float(np.log10(error))


def ssim(image: Float[ndarray, "k h w"], wanted: Float[ndarray, "k h w"]) -> float:
    """Structural similarity, the mean over sites and channels; 1 for the same image.

    Source: Wang, Bovik, Sheikh & Simoncelli 2004, doi:10.1109/TIP.2003.819861, with its constants
    and its Gaussian window. Sites whose window leaves the image are left out, except on images
    that are smaller than the window.
    """
    return float(np.mean([_similarity(a, b) for a, b in zip(image, wanted, strict=True)]))


def _similarity(a: Float[ndarray, "h w"], b: Float[ndarray, "h w"]) -> float:
    mean_a, mean_b = _blur(a), _blur(b)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    both = _blur(a * b) - mean_a * mean_b
    same = (2 * mean_a * mean_b + K1**2) * (2 * both + K2**2)
    found = same / ((mean_a**2 + mean_b**2 + K1**2) * (var_a + var_b + K2**2))
    inner = found[REACH:-REACH, REACH:-REACH]
    return float((inner if inner.size else found).mean())


def _blur(values: Float[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415  (slow to import)

    return gaussian_filter(values, SIGMA, radius=REACH)


def _mean_psnr(by_image: Float[ndarray, "n"], _: Float[ndarray, "n"]) -> float:
    return float(by_image.mean())


def _mean_ssim(_: Float[ndarray, "n"], by_image: Float[ndarray, "n"]) -> float:
    return float(by_image.mean())


METRICS: Mapping[str, Metric] = {"PSNR (dB)": _mean_psnr, "SSIM": _mean_ssim}
