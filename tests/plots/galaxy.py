"""A made-up galaxy with samples, for tests of figures."""

import numpy as np

from pxdask.core.config import FitConfig
from pxdask.fitting import FitStage, MapStage
from pxdask.testing import fake_galaxy, library_of

REDSHIFT = 0.0189


def made(*, n_samples=0, one_bin=False, **changes):
    """Return cube, bins, fit and maps of a spiral; with ``one_bin`` all pixels are in one."""
    options = {"n_pixel": 18, "n_model": 200, "snr": 8.0} | changes
    galaxy = fake_galaxy(rng=np.random.default_rng(6), **options)
    cube, bins = galaxy.cube.copy(deep=True), galaxy.bins.copy(deep=True)
    bins.attrs["wcs"] = cube.attrs["wcs"]  # as those of runs have
    if one_bin:
        inside = bins["bin_map"].values >= 0
        bins = bins.isel(bin=slice(1)).copy(deep=True)
        bins["bin_map"].values[:] = np.where(inside, 0, -1)
        bins["n_pix"].values[:] = inside.sum()
    config = FitConfig(n_samples=n_samples, systematic_error=0.1)
    stage = FitStage(config, lambda _: library_of(galaxy.models), {}, 0, 999)
    fit = stage.run(galaxy.row, bins=bins)
    maps = MapStage().run(galaxy.row, cube=cube, bins=bins, fit=fit)
    return {"cube": cube, "bins": bins, "fit": fit, "maps": maps}


def radius_of(galaxy):
    """Return the distance of each pixel of such a galaxy from the middle [arcsec]."""
    shape = galaxy["bins"]["bin_map"].shape
    y, x = np.indices(shape) - 0.5 * (np.array(shape)[:, None, None] - 1)
    return 1.5 * np.hypot(y, x)


def rest(galaxy):
    """Return maps, bins and fit of such a galaxy, in this order."""
    return {name: galaxy[name] for name in ("maps", "bins", "fit")}


def without_values(galaxy):
    """Return maps, bins and fit of such a galaxy with NaN in place of all quantiles."""
    dark = {name: ds.copy(deep=True) for name, ds in rest(galaxy).items()}
    for ds in (dark["maps"], dark["fit"]):
        for name in ds.data_vars:
            if "quantile" in ds[name].dims:
                ds[name].values[:] = np.nan
    return dark


def labels(figure):
    """Return the texts of all axes, colour bars and titles that are shown."""
    axes = [each for ax in figure.axes for each in (ax, *ax.child_axes)]
    found = [f(each) for each in axes for f in (type(each).get_ylabel, type(each).get_xlabel)]
    titled = [each for each in axes if hasattr(each, "get_title")]
    found += [each.get_title(loc=loc) for each in titled for loc in ("left", "center")]
    return " | ".join([figure.get_suptitle(), *found])


def images(figure):
    """Return the arrays of all maps, without those of colour bars, in the order drawn."""
    return [
        np.ma.filled(axes.images[0].get_array().astype(float), np.nan)
        for axes in figure.axes
        if axes.images and axes.get_visible()
    ]


def drawn(figure):
    """Return the bytes of the figure, drawn."""
    figure.canvas.draw()
    return bytes(figure.canvas.buffer_rgba())
