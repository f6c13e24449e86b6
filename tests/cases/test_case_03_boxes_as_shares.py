"""Boxes in shares of the image are not taken for pixels."""

from pathlib import Path

import pytest

import medshot
from medshot import DataError
from toys.layouts import HEIGHT, SPOT, WIDTH, spot_picture


def _boxes(folder: Path, scale: tuple[float, float]) -> None:
    xmin, ymin, xmax, ymax = SPOT
    corners = (xmin * scale[0], ymin * scale[1], xmax * scale[0], ymax * scale[1])
    lines = [f"{spot_picture(folder / f'{i}.png', i).name}," for i in range(4)]
    said = ",".join(f"{c:.5f}" for c in corners)
    table = "path,xmin,ymin,xmax,ymax,label\n" + "".join(f"{a}{said},cell\n" for a in lines)
    (folder / "boxes.csv").write_text(table)


def test_shares_are_refused_with_the_way_out(tmp_path: Path) -> None:
    _boxes(tmp_path, (1 / WIDTH, 1 / HEIGHT))
    (error,) = medshot.check(tmp_path).errors
    assert error.file == tmp_path / "boxes.csv"
    assert "shares of the image" in error.what
    assert "Multiply" in error.fix
    with pytest.raises(DataError, match="shares of the image"):
        medshot.load(tmp_path)


def test_pixels_are_read(tmp_path: Path) -> None:
    _boxes(tmp_path, (1, 1))
    data = medshot.load(tmp_path)
    want = [SPOT[0] / WIDTH, SPOT[1] / HEIGHT, SPOT[2] / WIDTH, SPOT[3] / HEIGHT]
    assert data.y[0, 0, :4].tolist() == pytest.approx(want)
