"""Tables for terminals and notebooks."""

from medshot.core.table import Table


def test_columns_are_aligned_and_long_cells_cut():
    found = Table("Scores", ("", "accuracy"), (("a\nb", "0.5"), ("longer", "x" * 200)))
    lines = str(found).splitlines()
    assert lines[0] == "Scores"
    assert lines[1] == "        accuracy"
    assert lines[2] == "a b     0.5"
    assert lines[3].endswith("...")


def test_what_users_named_is_text_in_a_notebook():
    html = Table("<b>", ("<i>",), (("<script>",),))._repr_html_()
    for tag in ("b", "i", "script"):
        assert f"<{tag}>" not in html
        assert f"&lt;{tag}&gt;" in html
