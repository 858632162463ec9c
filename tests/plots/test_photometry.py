"""Figures of photometry."""

import struct

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt

from pxdask.core.errors import SchemaError, StoreError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.schema import PHOTOMETRY, PROFILE
from pxdask.plots.photometry import (
    growth_figure,
    profile_figure,
    sed_figure,
    write_photometry_figure,
)

PIVOT = np.array([1528.0, 4700, 6200, 33500])


def bands(schema, n):
    names = np.array([f"b{i}" for i in range(n)], dtype=object)
    return {
        "band": ("band", names, schema.attrs("band")),
        "pivot_wave": ("band", PIVOT[:n], schema.attrs("pivot_wave")),
    }


def photometry(flux, flux_err, flags=None, *, radius=None):
    flux = np.asarray(flux, float)
    planes = {
        "flux": flux,
        "flux_err": np.broadcast_to(np.asarray(flux_err, float), flux.shape).copy(),
        "covered": np.ones(flux.shape),
        "flags": np.zeros(flux.shape, np.uint16) if flags is None else flags,
    }
    variables = {k: (("aperture", "band"), v, PHOTOMETRY.attrs(k)) for k, v in planes.items()}
    variables["flags"][2].update(flag_attrs())
    n_aperture = len(flux)
    variables["area"] = ("aperture", np.arange(1.0, n_aperture + 1), PHOTOMETRY.attrs("area"))
    names = np.array([f"a{i}" for i in range(n_aperture)], dtype=object)
    coords = bands(PHOTOMETRY, flux.shape[1])
    coords["aperture"] = ("aperture", names, PHOTOMETRY.attrs("aperture"))
    if radius is not None:
        coords["radius"] = ("aperture", np.asarray(radius, float), PHOTOMETRY.attrs("radius"))
    return xr.Dataset(variables, coords=coords, attrs={"schema": PHOTOMETRY.tag})


def growth():
    radius = np.linspace(1, 10, 10)
    flux = (1 - np.exp(-radius / 3))[:, None] * [10.0, 20, 30, 40]
    flags = np.zeros(flux.shape, np.uint16)
    flags[8:] = Flag.EDGE
    return photometry(flux, 0.5, flags, radius=radius)


def profile(n_ring=8):
    radius = np.arange(n_ring) + 0.5
    brightness = np.exp(-radius / 2)[:, None] * [1.0, 2, 4, 8] - 0.05
    planes = {
        "brightness": brightness,
        "brightness_err": np.full(brightness.shape, 0.03),
        "snr": brightness / 0.03,
        "pixel_snr": brightness / 0.1,
        "n_pix": np.full(brightness.shape, 9, np.int32),
    }
    variables = {k: (("ring", "band"), v, PROFILE.attrs(k)) for k, v in planes.items()}
    variables["radius"] = ("ring", radius, PROFILE.attrs("radius"))
    return xr.Dataset(variables, coords=bands(PROFILE, 4), attrs={"schema": PROFILE.tag})


def is_open(line):
    return np.array_equal(line.get_markerfacecolor(), "white")


def test_curves_of_growth_end_at_one():
    (axes,) = growth_figure(growth()).axes
    lines = [line for line in axes.lines if line.get_label()[0] != "_"]
    assert [line.get_label() for line in lines] == ["b0  9.64", "b1  19.3", "b2  28.9", "b3  38.6"]
    assert all(len(line.get_xdata()) == 8 for line in lines)  # two are over the border
    assert "arcsec" in axes.get_xlabel()
    open_marks = [line for line in axes.lines if is_open(line)]
    assert [len(line.get_xdata()) for line in open_marks] == [2] * 4
    assert max(np.max(line.get_ydata()) for line in open_marks) == pytest.approx(1)


def test_profiles_show_brightness_and_ratio():
    figure = profile_figure(profile())
    left, right = figure.axes
    assert left.get_yscale() == "log"
    assert r"\mu$Jy arcsec" in left.get_ylabel()
    assert right.get_yscale() == "symlog"
    ratios = [line for line in right.lines if line.get_label()[0] != "_"]
    assert [line.get_label() for line in ratios] == ["b0", "b1", "b2", "b3"]
    np.testing.assert_allclose(ratios[0].get_ydata(), profile()["pixel_snr"][:, 0])
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 4


def test_faint_bands_of_an_sed_are_upper_limits():
    found = photometry([[10.0, 20, 30, -1], [1, 2, 3, 4]], [[1, 1, 1, 2], [0.1, 0.1, 0.1, 3]])
    (axes,) = sed_figure(found).axes
    limits = [line for line in axes.lines if is_open(line)]
    assert [list(line.get_ydata()) for line in limits] == [[4.0], [10.0]]
    assert axes.get_xscale() == axes.get_yscale() == "log"


@pytest.mark.parametrize("n_band", [1, 3])
def test_nothing_to_show(n_band):
    empty = photometry(np.full((2, n_band), np.nan), np.nan, radius=[1, 2])
    growth_figure(empty).canvas.draw()
    sed_figure(empty).canvas.draw()


def test_files_are_png_with_equal_bytes_for_equal_data(tmp_path):
    one, other = tmp_path / "a" / "one.png", tmp_path / "other.png"
    write_photometry_figure(one, growth_figure(growth()))
    write_photometry_figure(other, growth_figure(growth()))
    head = one.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:])[0] == 975
    assert one.read_bytes() == other.read_bytes()
    assert plt.get_fignums() == []
    for figure in (profile_figure(profile()), sed_figure(growth())):
        write_photometry_figure(other, figure)
        assert other.stat().st_size > 10_000


def test_other_datasets_and_paths(tmp_path):
    with pytest.raises(SchemaError):
        growth_figure(profile())
    with pytest.raises(SchemaError):
        profile_figure(growth())
    with pytest.raises(SchemaError, match="needs apertures with a radius"):
        growth_figure(photometry([[1.0]], 1.0))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        write_photometry_figure(tmp_path / "file" / "x.png", sed_figure(growth()))
