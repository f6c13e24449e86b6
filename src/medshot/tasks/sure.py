"""From which heat on a box is worth showing: read off images whose boxes are known."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from medshot.tasks.claims import judged
from medshot.tasks.detection import Detection

EDGE = 1e-6  # scores are that far from 0 and 1 at least


@torch.no_grad()
def shift(
    task: Detection, output: Float[Tensor, "n k h w"], boxes: Float[Tensor, "n m 5"]
) -> Float[Tensor, "c"]:
    """What to add to the logits of each class for the best F1 at a score of 0.5 on these images.

    0 for a class of which nothing is found.
    """
    found, true = task.decode(output.double()).cpu().numpy(), boxes.cpu().double().numpy()
    scores, labels, over, _, counts = judged(found, true, task.n_classes)
    moved = torch.zeros(task.n_classes).to(output)
    for c in range(task.n_classes):
        own = labels == c
        order = np.argsort(-scores[own], kind="stable")
        hits, ranked = np.cumsum(over[own][order]), scores[own][order]
        if len(hits) and hits[-1]:
            best = int((hits / (np.arange(1, len(hits) + 1) + counts[:, c].sum())).argmax())
            cut = ranked[best : best + 2].mean()  # halfway to the first that is left out
            cut = min(max(float(cut), EDGE), 1 - EDGE)
            moved[c] = -math.log(cut / (1 - cut))
    return moved
