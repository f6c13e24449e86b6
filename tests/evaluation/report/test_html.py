""""""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medshot.evaluation.report import (
    Report,
    ShownPrediction,
    Support,
    SupportImage,
    render_report,
    write_report,
)
from medshot.evaluation.report.html import STANDING_LINE, thumbnail
from medshot.evaluation.report.model import Pixels

HOSTILE = "<script>alert('x')</script>\" onload=\"y"


class _Page(HTMLParser):
    """The elements, attributes, headings and visible text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.headings: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "h2" and data.strip():
            self.headings.append(data)
        self.text.append(data)


def test_every_number_given_appears(full: Report) -> None:
    text = " ".join(_Page(render_report(full)).text)
    scores = "0.782 [0.751, 0.813] 0.541 [0.512, 0.570] 0.903 [0.884, 0.922] 600 601 602"
    differences = "+0.241 [+0.208, +0.274] 599 598 [\N{MINUS SIGN}0.021, +0.012]"
    figures = "412 61 87% 13% 0.550 0.500 18 0.910 0.870 36 0.043 0.934 0.517"
    protocol = "603 41 e1e2e3 d1d2d3 2025-03-14 2.1.3 10 7 P1 P8 P9"
    for part in f"{scores} {differences} {figures} {protocol}".split():
        assert part in text


def test_every_word_given_appears(full: Report) -> None:
    text = " ".join(_Page(render_report(full)).text)
    for words in (
        *full.warnings,
        "better",
        "not distinguishable",
        "undefined",
        "one class never occurred",
        "bootstrap over patients",
        "seen together",
        "medshot learn polyps --seed 41",
        "https://example.org/polyps",
        STANDING_LINE,
    ):
        assert words in text
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_a_given_summary_replaces_the_written_one(full: Report) -> None:
    page = render_report(replace(full, summary="In the caller's words."))
    assert "The predictor learned" not in page
    assert "In the caller&#39;s words." in page


def test_hostile_text_is_shown_as_text_everywhere(full: Report) -> None:
    page = _Page(render_report(_poison(full)))
    assert "script" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert "".join(page.text).count(HOSTILE) > 20


def test_the_page_needs_nothing_from_outside(full: Report) -> None:
    source = render_report(full)
    page = _Page(source)
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(page.tags)
    fetched = [v for k, v in page.attributes if k in {"src", "href", "srcset", "xlink:href"}]
    assert fetched
    assert all(value.startswith("data:image/png;base64,") for value in fetched)
    assert "url(" not in source
    assert "@import" not in source


def test_images_have_alt_text_and_tables_captions(full: Report) -> None:
    page = _Page(render_report(full))
    alts = [value for name, value in page.attributes if name == "alt"]
    assert page.tags.count("img") == len(alts) == 4
    assert all(alts)
    assert page.tags.count("table") == page.tags.count("caption")


def test_an_absent_part_leaves_no_heading(full: Report, bare: Report) -> None:
    assert _Page(render_report(full)).headings == [
        "Read this first",
        "How well it does",
        "Where it errs",
        "Example predictions",
        "What it learned from",
        "How it was measured",
        "Provenance",
    ]
    page = _Page(render_report(bare))
    assert page.headings == ["What it learned from"]
    assert "h3" not in page.tags
    assert "table" not in page.tags
    no_confusion = render_report(replace(full, confusion=None))
    assert "Where it errs" in no_confusion
    assert "Confusion matrix" not in no_confusion


@pytest.mark.parametrize(("index", "none"), [(0, "Wrong"), (1, "Right")])
def test_no_wrong_or_no_right_example_reads_well(full: Report, index: int, none: str) -> None:
    page = render_report(replace(full, examples=(full.examples[index],) * 20))
    assert f"{none}: none of the 20 shown" in page
    assert ": 20 of the 20 shown" in page


def test_the_same_report_gives_the_same_page(full: Report) -> None:
    assert render_report(full) == render_report(full)


def test_write_makes_the_folder_and_leaves_only_the_page(full: Report, tmp_path: Path) -> None:
    path = write_report(full, tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8") == render_report(full)
    assert list(path.parent.iterdir()) == [path]


def test_an_undecodable_file_name_is_shown_and_does_not_fail(bare: Report, tmp_path: Path) -> None:
    path = write_report(replace(bare, title="scan-\udcff"), tmp_path / "report.html")
    assert "scan-\\udcff" in path.read_text(encoding="utf-8")


def test_a_failed_rendering_leaves_the_old_page(bare: Report, tmp_path: Path) -> None:
    path = write_report(bare, tmp_path / "report.html")
    old = path.read_bytes()
    image = SupportImage(np.zeros((4, 4), dtype=np.uint8), "a")
    with pytest.raises(ValueError, match="c h w"):
        write_report(replace(bare, support=Support(("a",), 1, 1, (image,))), path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_page_and_no_rubbish(
    full: Report, bare: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_report(bare, tmp_path / "report.html")
    old = path.read_bytes()
    monkeypatch.setattr("os.fsync", _disk_full)
    with pytest.raises(OSError, match="no space"):
        write_report(full, path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def _disk_full(_: int) -> None:
    raise OSError("no space left")


def _poison(full: Report) -> Report:
    """Return the report with a hostile string wherever a user's text may stand."""
    assert full.metrics is not None
    assert full.confusion is not None
    assert full.reliability is not None
    assert full.protocol is not None
    assert full.provenance is not None
    pixels = full.examples[0].pixels
    row = replace(full.metrics.rows[0], name=HOSTILE)
    return Report(
        title=HOSTILE,
        support=Support((HOSTILE,), 1, 1, (SupportImage(pixels, HOSTILE, HOSTILE, HOSTILE),)),
        warnings=(HOSTILE,),
        metrics=replace(
            full.metrics,
            methods=(HOSTILE, HOSTILE),
            rows=(row,),
            unit=HOSTILE,
            interval_method=HOSTILE,
        ),
        differences=(replace(full.differences[0], metric=HOSTILE, baseline=HOSTILE),),
        confusion=replace(full.confusion, labels=(HOSTILE, HOSTILE), note=HOSTILE),
        reliability=replace(full.reliability, note=HOSTILE),
        examples=(_said(HOSTILE, pixels), _said("a", pixels)),
        examples_note=HOSTILE,
        protocol=replace(full.protocol, name=HOSTILE, episodes_hash=HOSTILE, notes=(HOSTILE,)),
        provenance=replace(
            full.provenance,
            learner=HOSTILE,
            data_hash=HOSTILE,
            date=HOSTILE,
            command=HOSTILE,
            options={HOSTILE: HOSTILE},
            versions={HOSTILE: HOSTILE},
            licence_notes=(HOSTILE,),
        ),
    )


def _said(predicted: str, pixels: Pixels) -> ShownPrediction:
    return ShownPrediction(pixels, HOSTILE, predicted, 0.5, HOSTILE, HOSTILE)


def _decode(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_small_image_comes_back_unchanged(channels: int, mode: str) -> None:
    pixels = np.arange(channels * 6 * 9, dtype=np.uint8).reshape(channels, 6, 9)
    image = _decode(thumbnail(pixels))
    assert (image.mode, image.size) == (mode, (9, 6))
    shown = np.asarray(image).reshape(6, 9, channels).transpose(2, 0, 1)
    assert np.array_equal(shown, pixels)


def test_a_large_image_is_shrunk_in_proportion() -> None:
    image = _decode(thumbnail(np.zeros((3, 400, 200), dtype=np.uint8), longest_side=100))
    assert image.size == (50, 100)


def test_other_arrays_are_refused() -> None:
    with pytest.raises(TypeError, match="uint8"):
        thumbnail(np.zeros((1, 4, 4)))  # pyright: ignore[reportArgumentType]
    for shape in ((4, 4), (2, 4, 4), (1, 0, 4)):
        with pytest.raises(ValueError, match="c h w"):
            thumbnail(np.zeros(shape, dtype=np.uint8))
