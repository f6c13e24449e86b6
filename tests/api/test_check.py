"""What is wrong with a folder, as objects."""

import medshot
from toys.commands import folder


def test_a_folder_is_looked_at_and_nothing_is_raised(tmp_path):
    place = folder(tmp_path / "a<b>")
    assert medshot.check(place).errors == ()
    broken = next(place.rglob("*.png"))
    broken.write_bytes(b"no image")
    found = medshot.check(place)
    assert [each.file for each in found.errors] == [broken]
    assert str(found).startswith(f"{place} (classification): ")
    assert "a&lt;b&gt;" in found._repr_html_()
    assert "a<b>" not in found._repr_html_()
