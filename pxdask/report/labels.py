"""Words of pages: names of results, units, numbers with their errors."""

from __future__ import annotations

import math

from astropy.units import Unit

NAMES = {
    "log_mass": "log M★",
    "log_mass_density": "log Σ★",
    "log_sfr": "log SFR",
    "log_sfr_density": "log Σ(SFR)",
    "log_ssfr": "log sSFR",
    "log_mw_age": "log age, mass-weighted",
    "log_age": "log age",
    "log_tau": "log τ",
    "logzsol": "log Z",
    "gas_logz": "log Z of the gas",
    "gas_logu": "log U",
    "av": "A_V",
    "dust2": "τ_V of diffuse dust",
    "dust1": "τ_V of birth clouds",
    "chi2": "χ² of the best model",
    "n_eff": "effective number of models",
}
"""Short names of results, as astronomers write them; others go by their own."""

DASH = "–"
"""What stands for a value that is not there."""


def name_of(result: str) -> str:
    """Return the short name of a result."""
    return NAMES.get(result, result)


def unit_text(unit: str) -> str:
    """Return a unit as people write it: of a logarithm, the unit of its argument.

    Parameters
    ----------
    unit : str
        Unit that astropy parses, such as ``dex(Msun / yr)``; "" for a pure number.

    Examples
    --------
    >>> unit_text("dex(Msun / yr)"), unit_text("uJy"), unit_text("")
    ('M☉ yr⁻¹', 'µJy', '')
    """
    if not unit:
        return ""
    parsed = Unit(unit)
    physical = getattr(parsed, "physical_unit", None)
    if physical is not None:
        return "" if physical == Unit("") else str(physical.to_string("unicode"))
    return str(parsed.to_string("unicode"))


def label(result: str, unit: str) -> str:
    """Return the name of a result with its unit in brackets."""
    text = unit_text(unit)
    return f"{name_of(result)} [{text}]" if text else name_of(result)


def number(value: float, *, digits: int = 2) -> str:
    """Return a number for people; a dash where there is none.

    Numbers from 1e-3 to 1e5 have ``digits`` decimals, or three figures if that shows more;
    others are written with a power of ten.
    """
    if not math.isfinite(value):
        return DASH
    size = abs(value)
    if size and not 1e-3 <= size < 1e5:
        mantissa, power = f"{value:.{digits}e}".split("e")
        return f"{mantissa}×10{_raised(int(power))}".replace("-", "−")
    wanted = digits if size == 0 or size >= 1 else max(digits, 2 - math.floor(math.log10(size)))
    return f"{value:.{wanted}f}".replace("-", "−")


def between(low: float, middle: float, high: float) -> str:
    """Return a median with the distances to two quantiles: ``10.42 −0.03 +0.04``.

    All have as many decimals as the smaller distance needs, from two to four.
    """
    if not all(map(math.isfinite, (low, middle, high))):
        return number(middle)
    below, above = abs(middle - low), abs(high - middle)
    digits = _decimals(min(below, above))
    return f"{_plain(middle, digits)} −{below:.{digits}f} +{above:.{digits}f}"


def plus_minus(value: float, error: float) -> str:
    """Return a value with its error: ``10.42 ± 0.03``; see `between` for the decimals."""
    if not (math.isfinite(value) and math.isfinite(error)):
        return number(value)
    digits = _decimals(error)
    return f"{_plain(value, digits)} ± {error:.{digits}f}"


def _decimals(error: float) -> int:
    """Return the decimals that show an error."""
    return min(4, max(2, -math.floor(math.log10(error)))) if error > 0 else 2


def _plain(value: float, digits: int) -> str:
    """Return a number with so many decimals."""
    return f"{value:.{digits}f}".replace("-", "−")


def _raised(power: int) -> str:
    """Return an integer in raised digits."""
    return str(power).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))
