"""What all tests share: shapes are checked, one thread, and where the real data are."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Before anything of medshot is imported: annotations of tensors become checks, in the tests only.
install_import_hook("medshot", "beartype.beartype")

import torch  # noqa: E402

torch.set_num_threads(1)  # toys are small: threads cost more than they give


@pytest.fixture
def real_data() -> Path:
    """The folder of the public data sets, or a skip that says how to have it."""
    root = os.environ.get("MEDSHOT_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("needs real data: set MEDSHOT_DATA to the folder that holds cls_*, omniglot")
    return Path(root)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
