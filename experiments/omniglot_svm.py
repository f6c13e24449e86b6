"""Omniglot, `snell17` 5-way 1-shot, support vector machine (MetaOptNet) on Conv4.

    python experiments/omniglot_svm.py --out runs/omniglot_svm

The paper gives no number for this protocol. Meta-trained on 20-way 1-shot
episodes with images shifted by up to 2 pixels, as all of these experiments.
"""

from omniglot import FAST, ON_SNELL, Experiment

SVM = Experiment("svm", None, **{**ON_SNELL, "training": {**FAST, "lr": 3e-3}})

if __name__ == "__main__":
    SVM.main(__doc__)
