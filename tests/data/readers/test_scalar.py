"""What is a number, and what is only like one."""

import pytest

from medshot.data.readers.scalar import NUMBER


@pytest.mark.parametrize("text", ["3", "-3.5", "+.5", "5.", "1e-3", "2E10"])
def test_a_number(text: str) -> None:
    assert NUMBER.fullmatch(text)
    float(text)


@pytest.mark.parametrize("text", ["", ".", "3,5", "1_000", "nan", "inf", "0x10", "3 mm", "٣", "e5"])
def test_no_number(text: str) -> None:
    assert not NUMBER.fullmatch(text)
