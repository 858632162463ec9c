"""Figure of maps of emission lines and of what follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.core.schema import LINE_MAPS
from pxdask.plots.panels import draw_map, window
from pxdask.plots.style import grid_of, map_grid, unit_text

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_LINES = {
    "oii_3727": "[O II] 3727",
    "hbeta": r"H$\beta$",
    "oiii_5007": "[O III] 5007",
    "halpha": r"H$\alpha$",
    "nii_6584": "[N II] 6584",
    "sii_6717": "[S II] 6717",
    "sii_6731": "[S II] 6731",
}
"""Lines' names in figures; others go by their own."""
_OTHERS = {
    "velocity": ("gas velocity", "RdBu_r", False),
    "sigma": ("dispersion", "plasma", False),
    "decrement": (r"H$\alpha$ / H$\beta$", "magma", False),
    "sfr": (r"SFR of H$\alpha$", "viridis", True),
    "dn4000": (r"D$_n$4000", "cividis", False),
}
"""What else is shown: name, colours, whether these are logarithmic."""
_SHARED = ("sfr",)
"""What of bins is shared by their pixels, besides fluxes."""


def lines_figure(line_maps: xr.Dataset, *, title: str) -> Figure:
    """Return the figure of a galaxy's emission lines: fluxes, motion, dust, star formation.

    Fluxes and star formation rates are those of bins, shared by their pixels, on a logarithmic
    scale; pixels of bins where they are not positive are neutral grey.

    Parameters
    ----------
    line_maps : xarray.Dataset
        Schema line-maps/1, ``attrs`` wcs.
    title : str
        Text above the figure.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    SchemaError
        If the dataset is another.
    DataError
        If it has no map of a line.
    """
    LINE_MAPS.validate(line_maps)
    found = [str(name) for name in line_maps.data_vars]
    fluxes = [n for n in found if n.startswith("flux_") and not n.startswith("flux_err_")]
    if not fluxes:
        raise DataError("there is no map of an emission line; wanted flux_halpha or another")
    known = [f"flux_{line}" for line in _LINES]
    names = [*(n for n in known if n in fluxes), *sorted(set(fluxes) - set(known))]
    names += [name for name in _OTHERS if name in found]
    inside = np.any([np.isfinite(line_maps[name].values) for name in names], axis=0)
    view = window(str(line_maps.attrs["wcs"]), inside)
    n_row, n_column = grid_of(len(names), widest=4)
    figure, rows = map_grid(n_row, n_column, title=title)
    grid = [axes for row in rows for axes in row]
    for axes in grid[len(names) :]:
        axes.set_visible(False)
    for i, (name, axes) in enumerate(zip(names, grid, strict=False)):
        values = line_maps[name].values.astype(np.float64)
        line = name.removeprefix("flux_")
        label, cmap, log = _OTHERS.get(name, (_LINES.get(line, line), "viridis", True))
        limits = None
        if name == "velocity" and np.any(finite := np.isfinite(values)):
            reach = float(np.percentile(np.abs(values[finite]), 98)) or 1.0
            limits = (-reach, reach)
        unit = unit_text(str(line_maps[name].attrs.get("units", "")))
        unit = f"{unit} pix$^{{-1}}$" if name in _SHARED or name.startswith("flux_") else unit
        draw_map(axes, values, view, label=f"[{unit}]" if unit else "", cmap=cmap, log=log,
                 limits=limits)  # fmt: skip
        axes.text(0.04, 0.96, label, transform=axes.transAxes, va="top", fontsize=10)
        axes.tick_params(labelleft=i % n_column == 0, labelbottom=i + n_column >= len(names))
        axes.set_ylabel("offset [arcsec]" if i % n_column == 0 else "")
        axes.set_xlabel("offset [arcsec]" if i + n_column >= len(names) else "")
    return figure
