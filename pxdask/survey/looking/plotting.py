"""Figures of a run's galaxies by the name of their kind: which there are, and how each is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pxdask.core.errors import ConfigError, brief
from pxdask.plots.style import styled
from pxdask.survey.looking import figures as f
from pxdask.survey.looking.figures import Choice, brightest_bin
from pxdask.survey.looking.galaxy_data import GalaxyData, data_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from pxdask.survey.results import Run

__all__ = [
    "KINDS",
    "Choice",
    "GalaxyData",
    "Kind",
    "brightest_bin",
    "data_of",
    "draw",
    "draw_of",
    "undrawable",
]


@dataclass(frozen=True)
class Kind:
    """A kind of figure.

    Attributes
    ----------
    name : str
        What to ask for.
    help : str
        What it shows, in a line.
    needs : tuple of str
        What the galaxy must have: names as of `GalaxyData.missing`.
    make : callable
        Draws it: (data, choice) to a figure.
    """

    name: str
    help: str
    needs: tuple[str, ...]
    make: Callable[[GalaxyData, Choice], Figure]


def draw(
    run: Run,
    galaxy: str,
    kind: str,
    *,
    bin: int | None = None,  # noqa: A002  as bins are called everywhere
    band: str | None = None,
    **options: Any,  # noqa: ANN401  those of Choice
) -> Figure:
    """Return a figure of a galaxy of a run.

    Parameters
    ----------
    run : Run
        The run.
    galaxy : str
        Identifier.
    kind : str
        One of `KINDS`.
    bin, band, **options
        See `Choice`.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    ConfigError
        If there is no such kind, galaxy, bin, band, pixel or option.
    DataError
        If the galaxy lacks what the kind needs, saying what setting would keep it.
    """
    known = [name for name in Choice.__dataclass_fields__ if name not in ("bin", "band")]
    if unknown := sorted(set(options) - set(known)):
        raise ConfigError(f"a figure has no option {unknown[0]!r}; wanted {', '.join(known)}")
    return draw_of(data_of(run, galaxy), kind, Choice(bin=bin, band=band, **options))


def draw_of(data: GalaxyData, kind: str, choice: Choice | None = None) -> Figure:
    """Return a figure of a galaxy whose data are open already; see `draw`."""
    if kind not in KINDS:
        raise ConfigError(f"there is no kind {brief(kind)} of figure; wanted {', '.join(KINDS)}")
    wanted, chosen = KINDS[kind], choice or Choice()
    data.require(*wanted.needs)
    _check(data, chosen)
    with styled():
        return wanted.make(data, chosen)


def undrawable(data: GalaxyData) -> dict[str, str]:
    """Return, for each kind that a galaxy lacks something for, what that is."""
    found = {}
    for name, kind in KINDS.items():
        reasons = [reason for what in kind.needs if (reason := data.missing(what))]
        if reasons:
            found[name] = reasons[0]
    return found


def _check(data: GalaxyData, choice: Choice) -> None:
    """Raise `ConfigError` if the bin, band or pixel is none of the galaxy's."""
    if choice.bin is not None and not 0 <= choice.bin < data.bins.sizes["bin"]:
        raise ConfigError(
            f"galaxy {data.galaxy!r} has no bin {choice.bin}; wanted 0 to"
            f" {data.bins.sizes['bin'] - 1}"
        )
    if choice.band is not None and choice.band not in data.bands:
        raise ConfigError(
            f"galaxy {data.galaxy!r} has no band {choice.band!r}; wanted {', '.join(data.bands)}"
        )
    if choice.pixel is not None:
        sizes = (data.cube.sizes["y"], data.cube.sizes["x"])
        if not all(0 <= at < size for at, size in zip(choice.pixel, sizes, strict=True)):
            raise ConfigError(
                f"galaxy {data.galaxy!r} has no pixel (y, x) = {choice.pixel}; the images are"
                f" {sizes[0]} x {sizes[1]}"
            )


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("summary", "image, S/N, bins, maps and two SEDs on one page", ("maps",), f.summary),
        Kind("rgb", "colour composite of three bands", ("maps",), f.colour),
        Kind("flux", "maps of the flux in all bands, or one (band)", ("bins",), f.flux),
        Kind("snr", "maps of S/N per pixel in all bands, or one (band)", ("bins",), f.snr),
        Kind("profiles", "brightness and S/N against radius", ("bins",), f.profiles),
        Kind("kernel", "test of the kernel that matches a band's PSF (band)", ("bins",), f.kernel),
        Kind("bins", "bin map, what limits bins, S/N of each in each band", ("bins",), f.bins),
        Kind("pixels", "SEDs of a bin's pixels, or of one (bin, pixel)", ("bins",), f.pixel_seds),
        Kind("seds", "SEDs of bins, middle to edge, or of one (bin)", ("fit",), f.bin_seds),
        Kind("sed", "a bin's best fit, components and residuals (bin)", ("fit",), f.best_fit),
        Kind("spectrum", "a bin's spectrum and photometry (bin)", ("spectra", "fit"), f.spectrum),
        Kind("corner", "posterior samples of a bin (bin)", ("samples",), f.corner),
        Kind("sfh", "star formation history of a bin (bin)", ("samples",), f.history),
        Kind("maps", "maps of properties and their uncertainties", ("maps",), f.maps),
        Kind("radial", "properties against radius", ("maps",), f.radial),
        Kind("main-sequence", "star formation against mass of bins", ("maps",), f.main_sequence),
        Kind("lines", "maps of emission lines", ("lines",), f.line_maps),
        Kind("morphology", "Sersic profiles: data, model, residual", ("morphology",), f.shapes),
    )
}
"""Kinds of figures by name, in the order in which a galaxy is told."""
