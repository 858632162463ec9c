"""Figures of images: what is drawn is what the cube holds."""

import numpy as np
import pytest

from pxdask.core.errors import DataError, SchemaError
from pxdask.plots.panels import window
from pxdask.plots.sky import colour_figure, composite_bands, flux_figure, snr_figure, snr_of
from pxdask.testing import digest
from tests.plots.galaxy import drawn, images, labels, made


@pytest.fixture(scope="module")
def galaxy():
    return made()


def region_of(galaxy):
    return galaxy["bins"]["bin_map"].values >= 0


def view_of(galaxy):
    return window(galaxy["cube"].attrs["wcs"], region_of(galaxy))


def test_flux_maps_hold_the_fluxes_of_the_bands_in_order_of_wavelength(galaxy):
    cube = galaxy["cube"].isel(band=[3, 0, 4, 1, 2])
    figure = flux_figure(cube, title="g1,   z = 0.1", region=region_of(galaxy))
    shown = images(figure)
    assert len(shown) == 5
    for image, number in zip(shown, (1, 3, 4, 0, 2), strict=True):
        np.testing.assert_array_equal(image, view_of(galaxy).cut(cube["flux"].values[number]))
    text = labels(figure)
    for wanted in ("g1,   z = 0.1", "offset [arcsec]", r"flux [$\mu$Jy pix$^{-1}$]", "µm"):
        assert wanted in text
    drawn(figure)


def test_snr_maps_have_one_scale_and_hold_the_ratios(galaxy):
    cube = galaxy["cube"]
    figure = snr_figure(cube, title="g1", region=region_of(galaxy))
    shown = images(figure)
    ratio = cube["flux"].values.astype(float) / cube["flux_err"].values
    for image, wanted in zip(shown, ratio, strict=True):
        # below the faintest all is one colour
        np.testing.assert_allclose(image, np.maximum(view_of(galaxy).cut(wanted), 0.5))
    norms = {(axes.images[0].norm.vmin, axes.images[0].norm.vmax) for axes in figure.axes[:5]}
    assert len(norms) == 1
    median = np.median(ratio[0][region_of(galaxy)])
    assert f"median {median:.3g}" in figure.axes[0].get_title()
    assert "S/N per pixel" in labels(figure)


def test_one_band_is_one_panel(galaxy):
    name = str(galaxy["cube"]["band"].values[2])
    for make in (flux_figure, snr_figure):
        figure = make(galaxy["cube"], title="g1", region=region_of(galaxy), bands=[name])
        assert len(images(figure)) == 1
        assert name in labels(figure)
    with pytest.raises(DataError, match="no band 'nose'"):
        flux_figure(galaxy["cube"], title="g1", bands=["nose"])


def test_images_without_values_are_said_to_have_none(galaxy):
    dark = galaxy["cube"].copy(deep=True)
    dark["flux"].values[:] = np.nan
    before = digest(dark)
    figure = flux_figure(dark, title="g1", region=region_of(galaxy))
    assert all(axes.texts[0].get_text() == "no values" for axes in figure.axes[:5])
    drawn(figure)
    assert digest(dark) == before


def test_a_dark_galaxy_has_the_other_figures_too(galaxy):
    dark = galaxy["cube"].isel(band=[0, 2, 4]).copy(deep=True)
    dark["flux"].values[:] = np.nan
    drawn(snr_figure(dark, title="g1", region=region_of(galaxy)))
    drawn(colour_figure(dark, title="g1", region=region_of(galaxy), kpc_per_pixel=0.5))


def test_other_datasets_are_refused(galaxy):
    with pytest.raises(SchemaError):
        flux_figure(galaxy["bins"], title="")


def test_the_composite_is_of_bands_that_are_well_seen(galaxy):
    """A noisy band makes no colour while three others are well seen; else it has to do."""
    cube = galaxy["cube"].copy(deep=True)
    region = region_of(galaxy)
    medians = [np.median(ratio[region]) for ratio in snr_of(cube)]
    assert min(medians) > 5
    assert composite_bands(cube, region) == [4, 2, 0]
    cube["flux_err"].values[4] *= medians[4] / 3  # to a median of 3
    assert composite_bands(cube, region) == [3, 1, 0]
    poor = cube.isel(band=[0, 1, 4])
    assert composite_bands(poor, region) == [2, 1, 0]


def test_colour_has_a_scale_and_names_its_bands(galaxy):
    figure = colour_figure(galaxy["cube"], title="g1", region=region_of(galaxy), kpc_per_pixel=0.5)
    axes = figure.axes[0]
    assert axes.images[0].get_array().shape[-1] == 3
    names = [str(name) for name in galaxy["cube"]["band"].values]
    assert axes.get_title() == f"{names[4]} / {names[2]} / {names[0]}"
    assert any("kpc" in text.get_text() for text in axes.texts)
    assert axes.get_xlabel() == axes.get_ylabel() == "offset [arcsec]"
