"""One style for all figures: fonts, lines, colours that all can tell apart, labels with units."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from astropy.units import DexUnit, Unit
from cycler import cycler
from matplotlib import colormaps
from matplotlib.colors import to_hex

from pxdask.core.errors import ConfigError
from pxdask.core.files import refuse_existing, write_with
from pxdask.plots.panels import ACCENTS, INK, NEUTRAL
from pxdask.plots.picture import Picture, write_png

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ACCENTS", "INK", "NEUTRAL", "PALETTE", "SYMBOLS", "styled"]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
"""Okabe & Ito (2008) without black, told apart in every form of colour vision; the darker first,
for lines on white."""

SYMBOLS: Mapping[str, str] = {
    "redshift": r"$z$",
    "log_mass": r"$\log\,M_*$",
    "log_mass_formed": r"$\log\,M_\mathrm{formed}$",
    "log_sfr": r"$\log\,\mathrm{SFR}$",
    "log_mass_density": r"$\log\,\Sigma_*$",
    "log_sfr_density": r"$\log\,\Sigma_\mathrm{SFR}$",
    "log_mw_age": r"$\log\,\langle\mathrm{age}\rangle_M$",
    "log_age": r"$\log\,\mathrm{age}$",
    "log_tau": r"$\log\,\tau$",
    "log_t0": r"$\log\,T_0$",
    "log_alpha": r"$\log\,\alpha$",
    "log_beta": r"$\log\,\beta$",
    "logzsol": r"$\log\,Z/\mathrm{Z}_\odot$",
    "gas_logz": r"$\log\,Z_\mathrm{gas}/\mathrm{Z}_\odot$",
    "gas_logu": r"$\log\,U$",
    "dust1": r"$\hat\tau_1$",
    "dust2": r"$\hat\tau_2$",
    "dust_index": r"$n_\mathrm{dust}$",
    "dust_bump": r"$E_b$",
    "av": r"$A_V$",
    "log_umin": r"$\log\,U_\mathrm{min}$",
    "log_gamma": r"$\log\,\gamma_e$",
    "log_qpah": r"$\log\,Q_\mathrm{PAH}$",
    "log_fagn": r"$\log\,f_\mathrm{AGN}$",
    "log_tauagn": r"$\log\,\tau_\mathrm{AGN}$",
    "log_dustmass": r"$\log\,M_\mathrm{dust}$",
    "log_dust_luminosity": r"$\log\,L_\mathrm{dust}$",
    "log_fagn_bol": r"$\log\,f_\mathrm{AGN,bol}$",
    **{f"lookback_{part}": rf"$t_{{{part}}}$" for part in (20, 30, 50, 70, 80, 90)},
}
"""What quantities are called in figures; others go by their names."""

TWINS: Mapping[str, str] = {"dust2": "av"}
"""Quantities that are multiples of another one, which is shown instead where it is there."""

SUFFIXES = (".png", ".pdf", ".svg")
"""Kinds of files that a figure is written as."""

DPI = 130
"""Pixels per inch of figures; printed 180 mm wide one of ten inches has 180 of them per inch."""

_RC: dict[Any, Any] = {
    "font.size": 10.0,
    "axes.labelsize": 10.0,
    "axes.titlesize": 10.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.5,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.unicode_minus": True,
    "errorbar.capsize": 0.0,
    "figure.dpi": DPI,
    "figure.facecolor": "white",
    "image.interpolation": "nearest",
    "image.origin": "lower",
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "svg.hashsalt": "pxdask",
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in pxdask's style inside the block; settings are as before after it."""
    with mpl.rc_context(_RC):
        yield


def canvas(*, width: float, height: float, title: str) -> Figure:
    """Return an empty figure with a title, that lays its parts out by itself.

    Parameters
    ----------
    width, height : float
        Its size [inch].
    title : str
        Above, on the left; "" for none.
    """
    figure = Picture(figsize=(width, height), dpi=DPI, layout="constrained")
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK, weight="bold")
    return figure


def map_grid(n_row: int, n_column: int, *, title: str) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with square panels in rows, and room at the right of each for a bar.

    Parameters
    ----------
    n_row, n_column : int
        Panels.
    title : str
        Above, on the left.

    Returns
    -------
    figure : matplotlib.figure.Figure
    panels : list of rows of Axes
    """
    side, bar, left, right, foot, top, gap = 2.35, 0.95, 0.62, 0.9, 0.5, 0.42, 0.22
    wide = left + n_column * side + (n_column - 1) * bar + right
    high = foot + n_row * side + (n_row - 1) * gap + top
    figure = Picture(figsize=(wide, high), dpi=DPI)
    figure.suptitle(
        title, x=0.1 / wide, y=1 - 0.1 / high, ha="left", va="top", fontsize=12, color=INK,
        weight="bold",
    )  # fmt: skip
    grid = figure.subplots(n_row, n_column, squeeze=False)
    figure.subplots_adjust(
        left=left / wide, right=1 - right / wide, bottom=foot / high, top=1 - top / high,
        wspace=bar / side, hspace=gap / side,
    )  # fmt: skip
    return figure, [list(row) for row in grid]


def unit_text(unit: str) -> str:
    """Return a unit as figures write it, "" for none; of a logarithm that of its argument.

    A unit that astropy does not know is returned as it is.
    """
    try:
        known = Unit(unit)
    except ValueError:
        return unit
    inside = known.physical_unit if isinstance(known, DexUnit) else known
    text = str(inside.to_string("latex_inline"))
    return "" if text == r"$\mathrm{}$" else text.replace(r"1 \times ", "")


def label_of(name: str, attrs: Mapping[str, object]) -> str:
    """Return the label of an axis: a quantity's symbol, and its unit in brackets.

    Parameters
    ----------
    name : str
        Of the variable.
    attrs : mapping
        Its attributes; ``units`` is used.
    """
    unit = unit_text(str(attrs.get("units", "")))
    symbol = SYMBOLS.get(name, name.replace("_", " "))
    return f"{symbol} [{unit}]" if unit else symbol


def title_of(galaxy: str, redshift: float | None, *words: str) -> str:
    """Return a figure's title: the galaxy, its redshift, and what else is to be said."""
    known = redshift is not None and np.isfinite(redshift)
    return ",   ".join([galaxy, *([f"z = {redshift:.4g}"] if known else []), *words])


def band_colours(n_band: int) -> list[str]:
    """Return a colour for each band, dark to bright with wavelength, none too pale for white."""
    return [PALETTE[0]] if n_band == 1 else shades(n_band, cmap="plasma")


def shades(n: int, *, cmap: str = "viridis") -> list[str]:
    """Return colours of an ordered sequence, dark to light, none too pale for white."""
    return [to_hex(colour) for colour in colormaps[cmap](np.linspace(0.0, 0.88, max(n, 1)))][:n]


def grid_of(n: int, *, widest: int = 5) -> tuple[int, int]:
    """Return rows and columns of a grid of n panels, wider than high, with few places empty."""
    least = min(int(np.ceil(np.sqrt(n))), widest)
    columns = min(range(least, min(n, widest) + 1), key=lambda c: (-n % c, -c), default=1)
    return -(-n // columns), columns


def write_figure(
    path: str | Path, figure: Figure, *, overwrite: bool = False, about: Sequence[str] = ()
) -> Path:
    """Write a figure as PNG, PDF or SVG: whole or not at all, equal bytes for equal content.

    Parameters
    ----------
    path : path
        Its suffix tells the kind.
    figure : Figure
        What to write.
    overwrite : bool
        Whether a file that is there may be replaced.
    about : sequence of str
        What a PNG or SVG says of itself.

    Raises
    ------
    ConfigError
        If the file is there, or its suffix is of no kind known.
    StoreError
        If it cannot be written.
    """
    to = Path(path)
    kind = to.suffix.lower()
    if kind not in SUFFIXES:
        raise ConfigError(
            f"{to} is to be a figure; wanted a name that ends in {', '.join(SUFFIXES)}"
        )
    refuse_existing(to, overwrite=overwrite)
    words = "\n".join(about) or None
    if kind == ".png":
        write_png(to, figure, dpi=DPI, about=words)
        return to
    metadata: dict[str, dict[str, object]] = {
        ".pdf": {"CreationDate": None, "Subject": words},
        ".svg": {"Date": None, "Description": words},
    }

    def save(part: Path) -> None:
        with mpl.rc_context({"svg.hashsalt": "pxdask"}):
            figure.savefig(part, format=kind[1:], dpi=DPI, metadata=metadata[kind])

    write_with(save, to)
    return to
