"""Pictures of the page of a galaxy: panels of maps, figures, a small picture for the table."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.image import imsave

from pxdask.core.errors import PxdaskError
from pxdask.kernels.painting import painted
from pxdask.plots.bin_maps import outer_bin
from pxdask.plots.panels import INK, draw_map, window
from pxdask.plots.picture import Picture as Drawing
from pxdask.plots.picture import png_bytes
from pxdask.plots.sky import composite, composite_bands, draw_image, middle_band, snr_of
from pxdask.plots.style import styled
from pxdask.plots.summary import PROPERTIES
from pxdask.report.labels import name_of
from pxdask.report.pages import Picture
from pxdask.survey.looking.plotting import KINDS, Choice, brightest_bin, draw_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from pxdask.plots.panels import Window
    from pxdask.survey.looking.plotting import GalaxyData

THUMBNAIL_SIDE = 128
"""Pixels on a side of a thumbnail, at most."""

FIGURES: tuple[tuple[str, str, str], ...] = (
    ("sed", "SED of a bright bin", "bright"),
    ("sed", "SED of an outer bin", "outer"),
    ("spectrum", "Spectrum of a bright bin", ""),
    ("sfh", "Star formation history of a bright bin", "bright"),
    ("radial", "Properties against radius", ""),
    ("lines", "Emission lines", ""),
    ("morphology", "Shape", ""),
)
"""Kinds of figures of a page, where the galaxy has what they need: kind, heading, which bin."""

N_DRAW = 50
"""Posterior samples of which models are made for figures."""

_SIZE = (3.7, 2.65)
_DPI = 130


def map_panels(data: GalaxyData) -> tuple[Picture, ...]:
    """Return the image, signal-to-noise, bins and properties of a galaxy, a picture each."""
    maps, cube, bins = data.maps, data.cube, data.bins
    inside = bins["bin_map"].values >= 0
    view = window(str(maps.attrs["wcs"]), inside)
    band = middle_band(cube)
    name = str(cube["band"].values[band])

    scale = float(maps.attrs["kpc_per_pixel"])
    chi2 = painted(data.fit["chi2"].values, bins["bin_map"].values)
    panels: list[tuple[str, str, Callable[[Axes], None]]] = [
        (
            "Image",
            f"colour image of {data.galaxy} with a scale bar, north and east",
            partial(draw_image, cube=cube, region=inside, view=view, kpc_per_pixel=scale),
        ),
        (
            f"S/N in {name}",
            f"map of the signal-to-noise ratio per pixel in {name}",
            _mapped(snr_of(cube)[band], view, "S/N per pixel", "cividis", log=True),
        ),
    ]
    for variable, label, cmap in PROPERTIES:
        if variable in maps:
            median = maps[variable].sel(quantile=0.5).values
            words = f"map of {name_of(variable)}, {_range(median)}"
            panels.append((name_of(variable), words, _mapped(median, view, label, cmap)))
    words = f"map of chi-square of the bins' best models, {_range(chi2)}"
    panels.append(("χ² of the best models", words, _mapped(chi2, view, r"$\chi^2$", "viridis")))
    with styled():
        return tuple(_panel(title, alt, make) for title, alt, make in panels)


def _mapped(
    image: NDArray[Any], view: Window, label: str, cmap: str, *, log: bool = False
) -> Callable[[Axes], None]:
    """Return what draws a map on axes."""
    return partial(draw_map, image=image, view=view, label=label, cmap=cmap, log=log)


def figures_of(data: GalaxyData, faults: list[str]) -> tuple[Picture, ...]:
    """Return the figures of a page; one that cannot be drawn is a fault instead."""
    central = brightest_bin(data)
    bins = {"bright": central, "outer": _outer(data, central), "": None}
    pictures = []
    for kind, title, which in FIGURES:
        chosen = bins[which]
        if which == "outer" and chosen == central:
            continue
        try:
            if any(data.missing(what) for what in KINDS[kind].needs):
                continue
            figure = draw_of(data, kind, Choice(bin=chosen, n_draw=N_DRAW))
        except PxdaskError as error:
            faults.append(f"figure {kind}: {error}")
            continue
        words = title if chosen is None else f"{title}, number {chosen}"
        alt = f"{words}: {KINDS[kind].help}"
        pictures.append(_picture(figure, title=words, alt=alt, wide=True))
    return tuple(pictures)


def thumbnail(data: GalaxyData) -> bytes:
    """Return a small picture of a galaxy, PNG: in colour, or of one band; empty if all is dark."""
    cube, bins = data.cube, data.bins
    inside = bins["bin_map"].values >= 0
    if not inside.any():
        return b""
    view = window(str(cube.attrs["wcs"]), inside)
    image = composite(cube, inside, view, bands=composite_bands(cube, inside))
    if image is None:
        flux = np.nan_to_num(view.cut(cube["flux"].values[middle_band(cube)]))
        top = float(np.percentile(flux, 99.5))
        if not top > 0:
            return b""
        image = np.repeat(np.sqrt(np.clip(flux / top, 0, 1))[..., None], 3, axis=-1)
    step = max(1, -(-max(image.shape[:2]) // THUMBNAIL_SIDE))
    file = BytesIO()
    shown = np.ascontiguousarray(image[::step, ::step])
    imsave(file, shown, format="png", origin="lower", metadata={"Software": "pxdask"})
    return file.getvalue()


def _panel(title: str, alt: str, make: Callable[[Axes], None]) -> Picture:
    """Return one panel of maps."""
    figure = Drawing(figsize=_SIZE, dpi=_DPI)
    axes = figure.add_axes((0.18, 0.17, 0.55, 0.78))
    make(axes)
    axes.set_title("")
    axes.set_xlabel("offset [arcsec]", fontsize=9, color=INK)
    axes.set_ylabel("offset [arcsec]", fontsize=9, color=INK, labelpad=1)
    return _picture(figure, title=title, alt=alt)


def _picture(figure: Figure, *, title: str, alt: str, wide: bool = False) -> Picture:
    """Return a figure as a picture."""
    width, height = (round(side * _DPI) for side in figure.get_size_inches())
    return Picture(title, alt, png_bytes(figure, dpi=_DPI), width, height, wide=wide)


def _range(values: NDArray[np.floating]) -> str:
    """Return the span of a map in words."""
    known = values[np.isfinite(values)]
    if not known.size:
        return "without values"
    low, high = np.percentile(known, [1, 99])
    return f"from {low:.2f} to {high:.2f}"


def _outer(data: GalaxyData, central: int) -> int:
    """Return a fitted bin farther from the central one than three quarters of the others."""
    fitted = np.flatnonzero(np.isfinite(data.fit["chi2"].values))
    return outer_bin(data.bins["bin_map"].values, centre=central, among=fitted)
