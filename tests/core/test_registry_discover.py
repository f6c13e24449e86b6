"""Files found without a list of them, and what a fresh process knows without importing them."""

import subprocess
import sys

import torch

import toys
from medshot.core.registry import import_files
from medshot.learners import build
from medshot.nn import Pixels


def test_every_file_of_a_package_is_imported():
    assert import_files("medshot.tasks") == {}
    assert "medshot.tasks.classification" in sys.modules


def test_a_fresh_process_loads_a_predictor_with_no_other_import(tmp_path):
    encoder = Pixels(channels=1, size=toys.SIZE)
    predictor = build("nearest-centroid", encoder=encoder).adapt(toys.dataset())
    predictor.save(tmp_path / "saved")
    x = torch.full((1, 1, toys.SIZE, toys.SIZE), 0.5)
    code = (
        "import medshot, sys, torch\n"
        f"loaded = medshot.load_predictor({str(tmp_path / 'saved')!r})\n"
        f"print(loaded(torch.full({tuple(x.shape)}, 0.5)).tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(predictor(x).tolist())
