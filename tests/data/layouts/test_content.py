"""Files that annotations name, and numbers in them."""

import json
from pathlib import Path

import pytest
from PIL import Image

from medshot import DataError
from medshot.data.io.image import upright_size
from medshot.data.layouts.content import Listing, number, numbers, text_of
from medshot.data.layouts.recognize import content_of
from toys.layouts import HEIGHT, WIDTH, spot_picture

X = Path("x.json")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("0.png", "a/0.png"),
        ("a/0.png", "a/0.png"),
        ("../a/0.png", "a/0.png"),
        ("..\\a\\0.png", "a/0.png"),
        ("C:\\scans\\0.png", "a/0.png"),
        ("/home/me/0.png", "a/0.png"),
        ("https://x.org/a/0.png?size=3", "a/0.png"),
        ("/data/local-files/?d=b%20c/1.png", "b c/1.png"),
    ],
)
def test_names_of_files(tmp_path: Path, name: str, found: str) -> None:
    spot_picture(tmp_path / "a" / "0.png"), spot_picture(tmp_path / "b c" / "1.png", 1)
    listing = Listing.of(tmp_path)
    assert listing.find(name, tmp_path / "notes" / "x.json") == tmp_path / found


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("../../../etc/passwd", "outside of the folder"),
        ("2.png", "is not in the folder"),
        ("same.png", "could be a/same.png and b/same.png"),
        (None, "name of an image is None"),
        ("a\0b", "name of an image"),
    ],
)
def test_names_that_are_refused(tmp_path: Path, name: object, match: str) -> None:
    spot_picture(tmp_path / "a" / "same.png"), spot_picture(tmp_path / "b" / "same.png")
    with pytest.raises(DataError, match=match):
        Listing.of(tmp_path).find(name, tmp_path / "x.json")


def test_a_link_out_of_the_folder_is_no_image(tmp_path: Path) -> None:
    secret = spot_picture(tmp_path / "secret.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "0.png").symlink_to(secret)
    with pytest.raises(DataError, match="is not in the folder"):
        Listing.of(tmp_path / "data").find("0.png", tmp_path / "data" / "x.json")


def test_numbers_are_finite() -> None:
    assert number("3.5", X, "") == 3.5
    assert numbers([1, "2"], X, "", 2) == [1, 2]
    for wrong in ("a", None, float("inf"), "nan", True, [1], 10**400):
        with pytest.raises(DataError, match="no number"):
            number(wrong, X, "entry")
    assert text_of(3, X, "") == "3"
    with pytest.raises(DataError, match="the class is"):
        text_of(" ", X, "")


def test_json_of_any_kind(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for wrong in (b"{", b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(wrong)
        assert Listing.of(tmp_path).json(path) is None
        with pytest.raises(DataError, match="it is not JSON"):
            Listing.of(tmp_path).json(path, required=True)


def test_sizes_are_those_of_the_upright_image(tmp_path: Path) -> None:
    path = spot_picture(tmp_path / "x.jpg")
    assert upright_size(path) == (WIDTH, HEIGHT)
    turned = Image.Exif()
    turned[0x0112] = 6
    with Image.open(path) as image:
        image.save(tmp_path / "y.jpg", exif=turned)
    assert upright_size(tmp_path / "y.jpg") == (HEIGHT, WIDTH)


def test_a_json_file_is_parsed_once_for_all_layouts(tmp_path, monkeypatch):
    spot_picture(tmp_path / "0.png")
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text('{"something": [1]}' if name == "a.json" else "{")
    parsed, parse = [], json.loads
    monkeypatch.setattr(json, "loads", lambda text: (parsed.append(text), parse(text))[1])
    assert content_of(tmp_path) is None
    assert sorted(parsed) == ["{", '{"something": [1]}']
