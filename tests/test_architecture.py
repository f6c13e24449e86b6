"""What README's tree and docs/architecture.md say of the source is so."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/medshot"
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
PICTURE = (ROOT / "docs/architecture.svg").read_text(encoding="utf-8")


def test_each_path_names_files_that_exist_at_most_twelve() -> None:
    paths = re.findall(r"\*\*(.+?)\*\*\n\n((?:\d+\. .+\n)+)", PAGE)
    assert len(paths) == 3
    for _, steps in paths:
        files = re.findall(r"`(\S+\.py)`", steps)
        assert 0 < len(files) <= 12
        assert [file for file in files if not (SOURCE / file).exists()] == []
        assert [file for file in files if file not in PICTURE] == []


def test_each_package_is_named() -> None:
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.M)) == packages
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = readme[readme.index("src/medshot/\n") : readme.index("\nexperiments/")]
    assert set(re.findall(r"^  (\w+)/", tree, flags=re.M)) == packages
    folders = {found for line in tree.splitlines()[1:] for found in re.findall(r"(\w+)/", line)}
    known = {path.name for path in SOURCE.rglob("*") if path.is_dir()}
    assert folders <= known
