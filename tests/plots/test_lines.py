"""Figures of emission lines: maps of fluxes and of what follows from them."""

import numpy as np
import pytest
import xarray as xr

from pxdask.core.errors import DataError, SchemaError
from pxdask.core.schema import LINE_MAPS
from pxdask.plots.lines import lines_figure
from pxdask.plots.panels import window
from tests.plots.galaxy import drawn, images, labels, made

UNITS = {
    "flux_halpha": "1e-17 erg s-1 cm-2",
    "flux_err_halpha": "1e-17 erg s-1 cm-2",
    "flux_oiii_5007": "1e-17 erg s-1 cm-2",
    "velocity": "km s-1",
    "sfr": "Msun yr-1",
    "dn4000": "",
}


@pytest.fixture
def maps():
    wcs = made()["maps"].attrs["wcs"]
    rng = np.random.default_rng(4)
    planes = {}
    for name, unit in UNITS.items():
        plane = rng.uniform(-0.5, 2.0, (18, 18)).astype(np.float32)
        plane[:3] = np.nan
        planes[name] = (("y", "x"), plane, {"units": unit, "long_name": name})
    return LINE_MAPS.validate(xr.Dataset(planes, attrs={"schema": LINE_MAPS.tag, "wcs": wcs}))


def test_fluxes_are_shown_where_they_are_positive_blue_to_red(maps):
    figure = lines_figure(maps, title="g1")
    shown = images(figure)
    view = window(maps.attrs["wcs"], np.isfinite(maps["velocity"].values))
    assert len(shown) == 5  # uncertainties are not shown
    for image, name in zip(shown[:2], ("flux_oiii_5007", "flux_halpha"), strict=True):
        wanted = view.cut(maps[name].values)
        np.testing.assert_array_equal(image, np.where(wanted > 0, wanted, np.nan))
    np.testing.assert_array_equal(shown[2], view.cut(maps["velocity"].values))
    velocity = figure.axes[2].images[0].norm
    assert velocity.vmin == -velocity.vmax
    text = labels(figure)
    text += " ".join(note.get_text() for axes in figure.axes for note in axes.texts)
    for wanted in (r"H$\alpha$", r"erg\,s^{-1}\,cm^{-2}}$ pix$^{-1}$", r"km\,s^{-1}", "D$_n$4000",
                   "offset [arcsec]"):  # fmt: skip
        assert wanted in text
    drawn(figure)


def test_maps_without_values_and_without_lines(maps):
    dark = maps.copy(deep=True)
    for name in dark.data_vars:
        dark[name].values[:] = np.nan
    drawn(lines_figure(dark, title=""))
    with pytest.raises(DataError, match="no map of an emission line"):
        lines_figure(maps[["dn4000"]], title="")
    with pytest.raises(SchemaError):
        lines_figure(made()["maps"], title="")
