import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.report.labels import DASH, between, label, number, plus_minus, unit_text


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("dex(Msun)", "M☉"),
        ("dex(Msun / yr)", "M☉ yr⁻¹"),
        ("dex", "dex"),
        ("uJy", "µJy"),
        ("mag", "mag"),
        ("", ""),
    ],
)
def test_units_are_those_people_write(unit, text):
    assert unit_text(unit) == text


def test_a_label_names_quantity_and_unit():
    assert label("log_sfr", "dex(Msun / yr)") == "log SFR [M☉ yr⁻¹]"
    assert label("own_name", "") == "own_name"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10.4249, "10.42"),
        (-0.5, "−0.500"),
        (0.01234, "0.0123"),
        (0.0, "0.00"),
        (2.5e-5, "2.50×10⁻⁵"),
        (123456.0, "1.23×10⁵"),
        (math.nan, DASH),
        (math.inf, DASH),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


def test_errors_decide_the_decimals():
    assert between(10.39, 10.42, 10.46) == "10.42 −0.03 +0.04"
    assert between(10.4191, 10.42, 10.4213) == "10.4200 −0.0009 +0.0013"
    assert plus_minus(-8.0812, 0.0301) == "−8.08 ± 0.03"
    assert plus_minus(1.0, 0.0) == "1.00 ± 0.00"
    assert between(math.nan, 1.0, 2.0) == "1.00"


@given(st.floats(-1e12, 1e12), st.floats(0, 1e3))
def test_a_value_can_be_read_back(value, error):
    """What is shown is the value to a part in 200, or to half the last decimal."""
    text = plus_minus(value, error).partition(" ")[0].replace("−", "-")
    assert float(text) == pytest.approx(value, rel=5e-3, abs=5.001e-3)
    shown = number(value).replace("−", "-").translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))
    assert float(shown.replace("×10", "e")) == pytest.approx(value, rel=5.1e-3, abs=5e-4)
