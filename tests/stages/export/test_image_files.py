"""Which files of a folder are images, and why one is not read."""

import pytest
from PIL import Image

from medshot.data.io.pixels import UnreadableError
from medshot.data.tables.manifest import find_images
from medshot.stages.export.image_files import files, pixels_in
from toys.dicom import dicom, noise, save


def test_the_images_of_a_folder_are_those_of_predict(tmp_path):
    picture = Image.effect_noise((8, 8), 50)
    (tmp_path / ".hidden").mkdir()
    for name in ("a.png", "b.JPG", "c.tiff", ".hidden/d.png", ".e.png"):
        picture.save(tmp_path / name, format="PNG")
    for name in ("f.txt", "g.gif"):
        (tmp_path / name).write_text("x")
    for name in ("IM1", "DICOMDIR"):
        save(dicom(noise((4, 4))), tmp_path / name)
    found = files([str(tmp_path)])
    assert found == find_images([tmp_path])
    assert [path.name for path in found] == ["IM1", "a.png", "b.JPG", "c.tiff"]
    assert files([str(tmp_path / "f.txt")]) == [tmp_path / "f.txt"]


@pytest.mark.parametrize(("content", "said"), [(b"", "empty"), (b"GIF89a", "no PNG")])
def test_what_is_no_image_says_why(tmp_path, content, said):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UnreadableError, match=said):
        pixels_in(tmp_path / "a.png")
    with pytest.raises(UnreadableError, match="No such file"):
        pixels_in(tmp_path / "gone.png")
