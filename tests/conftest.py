"""What all tests share: shapes are checked, one thread, where the real data are, what is slow."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Before anything of medshot is imported: annotations of tensors become checks, in the tests only.
install_import_hook("medshot", "beartype.beartype")

import torch  # noqa: E402

torch.set_num_threads(1)  # toys are small: threads cost more than they give

SLOW = frozenset((Path(__file__).parent / "slow.txt").read_text(encoding="utf-8").split())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="leave out the files of tests/slow.txt")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `--fast` slow files are not even imported: that alone takes half a minute."""
    if not config.getoption("--fast") or not collection_path.is_file():
        return None
    name = collection_path.relative_to(Path(__file__).parent).as_posix()
    return True if name in SLOW else None


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
