"""Table cells as labels, patient codes and numbers: what is written alike is alike.

Invisible differences are removed from every cell: white space at the ends, repeated or
non-breaking, zero-width characters, the Unicode form, quotation marks around it. Visible ones
(capitals, signs, leading zeros, `1` and `1.0`) are kept, and compared by `loose_key`: patients
that differ in nothing else are one patient, so that no split puts them on both sides.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

QUOTES = {
    '"': '"',
    "'": "'",
    "\u201c": "\u201d",
    "\u201e": "\u201c",
    "\u2018": "\u2019",
    "\u00ab": "\u00bb",
    "`": "`",
}
JOINERS = "\u200c\u200d"  # letters of Persian and Indic scripts depend on them
MISSING = {  # written by programs for a value that is not there
    *("nan", "+nan", "-nan", "1.#qnan", "na", "n/a", "n.a.", "<na>", "nat", "null", "(null)"),
    *("#n/a", "#n/a n/a", "#na", "#null!", "#value!", "#ref!", "#name?", "#div/0!", "#num!"),
    *("?", "??", "???"),
}
DOUBTFUL = {  # written by people for it; some are classes too
    *("none", "unknown", "unk", "missing", "not available", "not known", "undefined", "tbd"),
    *("-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "_", "*", "x/x", "n/k"),
}
SIGNS = str.maketrans({"\u2212": "-", "\uff0d": "-", "\uff0b": "+", "\uff0e": ".", "\uff0c": ","})
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)
WHOLE = re.compile(r"\+?(-?)0*(\d+)(?:\.0*)?", re.ASCII)
WORDS = re.compile(r"[^\W_]+|[+<>=\u2264\u2265\u00b1%&!?*~^@]|(?<=\w)-$")
OTHERWISE = "capital letters, spaces, dashes or leading zeros"


def clean(cell: str) -> str:
    """The text of a cell without invisible differences."""
    text = cell
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFC", text)
        kept = (c for c in text if unicodedata.category(c) != "Cf" or c in JOINERS)
        text = "".join(" " if unicodedata.category(c) == "Cc" else c for c in kept)
    text = " ".join(text.split())
    if len(text) > 2 and QUOTES.get(text[0]) == text[-1]:
        return text[1:-1].strip()
    return text


def is_missing(cell: str) -> bool:
    """Whether a cell is empty, or what programs write for a value that is not there."""
    text = clean(cell).lower()
    return not text or text in MISSING


def is_doubtful(cell: str) -> bool:
    """Whether a cell may be a placeholder: `none`, `unknown`, `-`."""
    return clean(cell).lower() in DOUBTFUL


def patient_code(cell: Any) -> str:
    """The patient of a cell, or of a value of an array; "" where unknown."""
    text = cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
    text = "" if cell is None else clean(text)
    return "" if is_missing(text) or is_doubtful(text) else text


def loose_key(text: str) -> str:
    """A text without case, width, spaces and dashes, and numbers in it without leading zeros.

    Signs between two digits separate them (`1-23` is not `12-3`), and signs with a meaning stay:
    `ER+`, `ER-`, `< 5 %`. Whole numbers are compared by value: `7`, `007` and `7.0` are equal; `-7`
    is another, and so are `7.1` and `7.10`.
    """
    plain = _digits(unicodedata.normalize("NFKC", clean(text)).translate(SIGNS).casefold())
    if number := WHOLE.fullmatch(plain):
        return "".join(number.groups())
    words = WORDS.findall(plain)
    found = "".join(
        f" {word}" if i and word[0].isdigit() and words[i - 1][-1].isdigit() else word
        for i, word in enumerate(words)
    )
    return re.sub(r"(?<!\d)0+(?=\d)", "", found) or plain


def spelled_alike(texts: Iterable[str]) -> list[list[str]]:
    """Different texts with one `loose_key`, in groups of two or more."""
    groups: dict[str, list[str]] = defaultdict(list)
    for text in sorted(set(texts)):
        groups[loose_key(text)].append(text)
    return [group for group in groups.values() if len(group) > 1]


def spelled_as(known: Sequence[str], texts: Sequence[str]) -> list[str]:
    """`texts`, each spelled as the `known` one with its `loose_key` if just one of both has it."""
    keys, own = [loose_key(text) for text in known], [loose_key(text) for text in texts]
    return [
        known[keys.index(key)] if keys.count(key) == own.count(key) == 1 else text
        for text, key in zip(texts, own, strict=True)
    ]


def patient_numbers(codes: Sequence[str]) -> list[int]:
    """A number for each patient, in the order of their codes; -1 where unknown ("").

    Codes with one `loose_key` are one patient.
    """
    number: dict[str, int] = {}
    for code in sorted(set(codes) - {""}):
        number.setdefault(loose_key(code), len(number))
    return [number[loose_key(code)] if code else -1 for code in codes]


def several_spellings(groups: Sequence[Sequence[str]]) -> str:
    """What is said of groups of `spelled_alike` patients."""
    first = " and ".join(repr(text) for text in groups[0])
    return (
        f"{len(groups)} patient(s) are written in several ways, first {first}: codes that differ "
        f"in {OTHERWISE} only count as one patient"
    )


def with_points(cells: Sequence[str]) -> list[str]:
    """Cells of one column of numbers, with ASCII digits and decimal points.

    A comma is a decimal comma if all numbers of the column can be read so, and at least one of
    them not otherwise: `1,234` alone may be 1234 as well, and stays as it is.
    """
    plain = [_digits(clean(cell).translate(SIGNS)) for cell in cells]
    commas = [cell for cell in plain if "," in cell]
    decimal = all(DECIMAL_COMMA.fullmatch(cell) for cell in commas)
    other = any("." in cell for cell in plain)
    if commas and decimal and not other and not all(map(THOUSANDS.fullmatch, commas)):
        return [cell.replace(",", ".") for cell in plain]
    return plain


def _digits(text: str) -> str:
    """The text with digits of any script in ASCII."""
    if text.isascii():
        return text
    return "".join(
        str(unicodedata.decimal(c)) if not c.isascii() and c.isdecimal() else c for c in text
    )
