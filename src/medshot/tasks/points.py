"""Points: centers of objects of one size, detected and scored by distance."""

from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from medshot.core import Card, DataError, Metric, PointPrediction
from medshot.tasks.boxes import MOST, NO_BOX, ap50, f1, froc, greedy
from medshot.tasks.detection import Detection

POINT_METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {"AP": ap50, "FROC": froc, "F1": f1}
)


class Points(Detection):
    """Detection of centers: each target is a box of the objects' size around its point.

    A detection is right if its center is within half the size of a point of its class; a point is
    matched once. Source: as nuclei and mitoses are scored (Sirinukunwattana et al. 2016,
    doi:10.1109/TMI.2016.2525803), with AP, FROC and F1 as for boxes. A box may reach out of the
    image, so that a point at the border stays the center.
    """

    kind = "points"
    metrics = POINT_METRICS

    def check_corners(self, low: Float[Tensor, "b 2"], high: Float[Tensor, "b 2"]) -> None:
        """Raise `DataError` where a point has no size or lies outside of the image."""
        middle = (low + high) / 2
        if not ((low < high) & (middle >= 0) & (middle <= 1)).all():  # NaN is none of these
            raise DataError(
                "A point is outside of its image, or has no size: points are fractions of the "
                "width and height of the image, each with a box of the size of its object."
            )

    def to_prediction(
        self, output: Float[Tensor, "k h w"], path: Path, card: Card
    ) -> PointPrediction:
        """Centers with a score of at least `WRITTEN`, in pixels of the file."""
        found = self._boxes_in(output, path, card)
        middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
        return PointPrediction(found.path, middle, found.labels, found.scores, found.size)

    def metric_inputs(self, decoded: ndarray, target: ndarray) -> tuple[ndarray, ...]:
        """Detections matched by distance, in the form of `medshot.tasks.boxes.judged`."""
        more = max(MOST - decoded.shape[1], 0)  # all alike, so that parts can be joined
        found = np.pad(decoded, ((0, 0), (0, more), (0, 0)), constant_values=NO_BOX)
        labels, scores = found[..., 4].astype(np.int64), found[..., 5]
        counts = np.stack([(target[..., 4] == c).sum(1) for c in range(self.n_classes)], 1)
        hits = np.zeros(labels.shape, bool)
        for hit, claims, points in zip(hits, found, target, strict=True):
            real = int((claims[:, 4] != NO_BOX).sum())  # padding comes last
            fits = claims[:real, None, 4] == points[None, :, 4]
            hit[:real] = greedy(np.where(fits, _nearness(claims[:real], points), -1))
        return scores, labels, hits, hits, counts, hits[..., None]


def _nearness(
    claims: Float[ndarray, "d 6"], points: Float[ndarray, "m 5"]
) -> Float[ndarray, "d m"]:
    """1 at a point, 0 at half the size of its object, negative beyond."""
    middle, half = (points[:, :2] + points[:, 2:4]) / 2, (points[:, 2:4] - points[:, :2]) / 2
    away = (claims[:, None, :2] + claims[:, None, 2:4]) / 2 - middle
    return 1 - np.hypot(*np.moveaxis(away / np.maximum(half, 1e-12), -1, 0))
