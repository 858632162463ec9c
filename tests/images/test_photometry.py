import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.models import ModelConfig
from pxdask.core.schema import IMAGE, PHOTOMETRY, PROFILE
from pxdask.images.noise import aperture_variance, convolve, unprocessed
from pxdask.images.photometry import (
    aperture_photometry,
    aperture_weights,
    convert_flux,
    curve_of_growth,
    integrated_sed,
    kpc_per_pixel,
    radial_profile,
)
from pxdask.images.psf import gaussian_matching_kernel
from pxdask.images.shapes import Ellipse
from pxdask.kernels.noise import aperture_growth
from tests.images.skies import DEC, RA, grid


def cube(flux, flux_err, *, on=None, noise_area=1.0, region=None):
    """A cube of bands b0, b1, ... on a grid of 1 arcsec, unless told otherwise."""
    flux = np.asarray(flux, np.float32)
    on = on or grid(1.0, flux.shape[-1])
    names = np.array([f"b{i}" for i in range(len(flux))], dtype=object)
    error = np.broadcast_to(np.asarray(flux_err, np.float32), flux.shape).copy()
    variables = {
        "flux": (("band", "y", "x"), flux, IMAGE.attrs("flux")),
        "flux_err": (("band", "y", "x"), error, IMAGE.attrs("flux_err")),
        "flags": (
            ("band", "y", "x"),
            np.zeros(flux.shape, np.uint16),
            {**IMAGE.attrs("flags"), **flag_attrs()},
        ),
        "psf_fwhm": ("band", np.full(len(flux), 2.0), IMAGE.attrs("psf_fwhm")),
        "noise_area": ("band", np.full(len(flux), float(noise_area)), IMAGE.attrs("noise_area")),
    }
    if region is not None:
        variables["region"] = (("y", "x"), region, IMAGE.attrs("region"))
    coords = {
        "band": ("band", names, IMAGE.attrs("band")),
        "pivot_wave": ("band", 5000.0 + 1000 * np.arange(len(flux)), IMAGE.attrs("pivot_wave")),
    }
    attrs = {"schema": IMAGE.tag, "wcs": on.wcs, "pixel_scale": on.pixel_scale}
    return IMAGE.validate(xr.Dataset(variables, coords=coords, attrs=attrs))


def circle(radius, **changes):
    return Ellipse(**{"ra": RA, "dec": DEC, "semi_major": radius, "semi_minor": radius, "angle": 0,
                      **changes})  # fmt: skip


def test_region_by_hand():
    flux = np.arange(18.0).reshape(2, 3, 3)
    region = np.zeros((3, 3), bool)
    region[0, :2] = True
    found = integrated_sed(cube(flux, [[[2.0]], [[3.0]]], noise_area=4.0, region=region))
    PHOTOMETRY.validate(found)
    np.testing.assert_array_equal(found["flux"], [[1.0, 19.0]])
    growth = aperture_growth(2, 4.0)
    np.testing.assert_allclose(found["flux_err"], np.sqrt([[2 * 4 * growth, 2 * 9 * growth]]))
    assert 1 < growth < 2
    assert found["area"] == 2
    assert np.all(found["covered"] == 1)
    assert not np.any(found["flags"])
    assert list(found["aperture"].values) == ["region"]
    other = integrated_sed(cube(flux, 1.0), region=~region)
    assert other["flux"][0, 0] == sum(range(2, 9))


def test_whole_pixels_agree_with_the_noise_of_bins():
    rng = np.random.default_rng(1)
    error = rng.uniform(1, 2, (1, 8, 8))
    region = rng.random((8, 8)) < 0.5
    found = integrated_sed(cube(np.ones((1, 8, 8)), error, noise_area=7.5, region=region))
    variances = error[0][region].astype(np.float32).astype(float) ** 2
    expected = np.sqrt(aperture_variance(variances, noise_area=7.5))
    np.testing.assert_allclose(found["flux_err"].item(), expected, rtol=1e-12)


@pytest.mark.parametrize("missing", [0.02, 0.3, 0.8])
def test_missing_pixels_are_told(missing):
    flux = np.ones((1, 10, 10))
    flux.reshape(-1)[: round(100 * missing)] = np.nan
    found = integrated_sed(cube(flux, 1.0), region=np.ones((10, 10), bool))
    assert found["covered"].item() == pytest.approx(1 - missing)
    expected = {0.02: 0, 0.3: Flag.EDGE, 0.8: Flag.EDGE | Flag.NO_DATA | Flag.NO_ERROR}[missing]
    assert found["flags"].item() == expected
    if missing > 0.5:
        assert np.isnan(found["flux"].item())
        assert np.isnan(found["flux_err"].item())
    else:
        assert found["flux"].item() == pytest.approx(100 * (1 - missing))


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.3, 12),
    st.floats(0.1, 1),
    st.floats(-180, 180),
    st.floats(-3, 3),
    st.booleans(),
)
def test_weights_sum_to_the_area_on_the_sky(semi_major, ratio, angle, turn, flip):
    on = grid(1.0, 61, angle=turn, flip=flip)
    ellipse = Ellipse(RA, DEC, semi_major, ratio * semi_major, angle)
    weights = aperture_weights(on, ellipse)
    # exact overlap; gnomonic pixels 30 arcsec off the centre differ by 1e-8
    assert np.sum(weights) == pytest.approx(np.pi * ratio * semi_major**2, rel=1e-6)
    inside = ellipse.contains(on.to_wcs(), on.shape)
    assert np.all(weights[inside] > 0)  # centres inside
    assert np.all(weights[~inside] < 1)


def test_an_ellipse_points_where_it_should():
    # north is up, east is to the left: position angle 90 lies along x
    on = grid(1.0, 41)
    weights = aperture_weights(on, Ellipse(RA, DEC, 10, 2, 90))
    assert weights[20, 28] == pytest.approx(1)
    assert weights[28, 20] == 0
    tilted = aperture_weights(on, Ellipse(RA, DEC, 10, 2, 45))
    assert tilted[25, 15] == pytest.approx(1)  # up and to the left
    assert tilted[25, 25] == 0


def test_circle_on_uniform_light_by_hand():
    found = aperture_photometry(
        cube(np.full((2, 21, 21), 3.0), 0.5, noise_area=1.0),
        apertures={"small": circle(0.5), "large": circle(4.0)},
    )
    area = np.pi * np.array([0.25, 16.0])
    np.testing.assert_allclose(found["area"], area, rtol=1e-6)
    np.testing.assert_allclose(found["flux"], 3 * np.stack([area, area], axis=1), rtol=5e-3)
    np.testing.assert_allclose(found["flux"][1], 3 * area[1], rtol=1e-6)
    # (sub-pixels where the exact overlap of photutils fails: the small one touches its pixel)
    # a circle inside one pixel weighs it by pi / 4: error pi / 4 sigma
    np.testing.assert_allclose(found["flux_err"][0], np.pi / 4 * 0.5, rtol=5e-3)
    assert np.all(found["flux_err"][1] < np.sqrt(area[1]) * 0.5)
    assert list(found["radius"].values) == [0.5, 4.0]


def test_apertures_over_the_border_and_excluded_pixels():
    light = cube(np.ones((1, 21, 21)), 1.0)
    edge = circle(4.0, dec=DEC - 10 / 3600)
    outside = circle(2.0, dec=DEC - 60 / 3600)
    found = aperture_photometry(light, apertures={"edge": edge, "outside": outside})
    # half a circle and half a pixel's strip: 8 x 0.5
    assert found["covered"][0, 0].item() == pytest.approx(0.5 + 4 / (16 * np.pi), abs=2e-3)
    assert found["flags"][0, 0] == Flag.EDGE
    assert np.isnan(found["flux"][1, 0])
    assert found["covered"][1, 0] == 0
    exclude = np.zeros((21, 21), bool)
    exclude[10, 10] = True
    without = aperture_photometry(light, apertures={"c": circle(4.0)}, exclude=exclude)
    assert without["flux"].item() == pytest.approx(16 * np.pi - 1, rel=1e-6)


def exponential(n, scale, ratio, angle):
    """An exponential disc of unit central brightness on the grid of 1 arcsec."""
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    sin, cos = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    along, across = y * cos - x * sin, -x * cos - y * sin
    return np.exp(-np.hypot(along, across / ratio) / scale)


def test_growth_and_profile_of_an_exponential_disc():
    scale, ratio, angle, n = 8.0, 0.6, 30.0, 161
    model = cube(np.stack([exponential(n, scale, ratio, angle)] * 2), 0.01)
    ellipse = Ellipse(RA, DEC, 20, 20 * ratio, angle)
    radii = np.array([4.0, 8, 16, 32, 64])
    growth = curve_of_growth(model, ellipse=ellipse, radii=radii)
    t = radii / scale
    expected = 2 * np.pi * scale**2 * ratio * (1 - (1 + t) * np.exp(-t))
    # pixels sampled at their centres: the cusp is worth 0.4 % in the smallest ellipse
    np.testing.assert_allclose(growth["flux"][:, 0], expected, rtol=6e-3)
    np.testing.assert_allclose(growth["flux"][-1], expected[-1], rtol=1e-3)
    assert np.all(np.diff(growth["flux_err"][:, 0]) > 0)
    profile = radial_profile(model, ellipse=ellipse, edges=np.arange(0, 61, 4))
    PROFILE.validate(profile)
    brightness = profile["brightness"][1:, 0]
    # over a ring of 4 arcsec, half a scale, the mean is 1 % above that at the mean radius
    np.testing.assert_allclose(brightness, np.exp(-profile["radius"][1:] / scale), rtol=0.03)
    assert profile["n_pix"].sum(dim="ring")[0] == pytest.approx(np.pi * 3600 * ratio, rel=0.01)
    np.testing.assert_allclose(profile["pixel_snr"], profile["brightness"] / 0.01, rtol=0.15)
    np.testing.assert_allclose(
        profile["snr"], profile["pixel_snr"] * np.sqrt(profile["n_pix"]), rtol=0.15
    )


def test_the_growth_of_a_circle_is_that_of_circles():
    """0.1 * 3 / 3 is above 0.1, and an ellipse whose minor axis is the greater is none."""
    growth = curve_of_growth(cube(np.ones((1, 9, 9)), 1.0), ellipse=circle(3.0), radii=[0.1, 2.0])
    np.testing.assert_allclose(growth["flux"][:, 0], np.pi * growth["radius"] ** 2, rtol=4e-3)


def test_rings_without_pixels():
    light = np.ones((1, 9, 9))
    light[0, 4, 4] = np.nan
    found = radial_profile(cube(light, 1.0), ellipse=circle(1.0), edges=[0, 0.5, 2.0, 30.0, 40.0])
    np.testing.assert_array_equal(found["n_pix"][:, 0], [0, 12, 68, 0])
    assert np.all(np.isnan(found["snr"][[0, 3]]))
    assert np.all(np.isnan(found["brightness"][[0, 3]]))
    assert found["brightness"][1, 0].item() == pytest.approx(1.0, rel=1e-6)
    assert found["snr"][1, 0].item() == pytest.approx(np.sqrt(12))
    assert np.all(np.isfinite(found["radius"]))


@pytest.mark.statistical
def test_apertures_of_correlated_noise_scatter_as_their_errors_say():
    rng = np.random.default_rng(20260704)
    on = grid(1.0, 150)
    kernel = gaussian_matching_kernel(2.5, 5.0)
    apertures = {
        f"{i} {j}": circle(4.0, ra=RA + i * 12 / 3600 / np.cos(np.radians(DEC)), dec=DEC + j / 300)
        for i in range(-4, 5)
        for j in range(-4, 5)
    }
    pulls = []
    for _ in range(8):
        image = convolve(unprocessed(rng.normal(0, 1, on.shape), np.ones(on.shape)), kernel)
        sky = cube(image.flux[None], np.sqrt(image.variance), on=on, noise_area=image.noise_area)
        found = aperture_photometry(sky, apertures=apertures)
        pulls.append(found["flux"].values / found["flux_err"].values)
    # 648 apertures, of which neighbours share noise: 2.8 % and a little more
    assert 0.92 < np.std(pulls) < 1.08
    assert abs(np.mean(pulls)) < 0.15
    # what ignoring the correlation would claim is wrong by far
    growth = float(aperture_growth(np.pi * 16, image.noise_area))
    assert np.std(pulls) * np.sqrt(growth) > 2


def test_units_by_hand():
    flux, error = np.array([[3631e6, 1.0, -1.0]]), np.array([[3631e4, 0.1, 0.5]])
    magnitude = convert_flux(flux, error, unit="mag(AB)")
    np.testing.assert_allclose(magnitude.value, [[0.0, 23.9, np.nan]], atol=1e-3)
    np.testing.assert_allclose(magnitude.error, [[0.0108574, 0.108574, np.nan]], rtol=1e-4)
    np.testing.assert_allclose(convert_flux(3.631, 0.3631, unit="nmgy").value, 1.0)
    np.testing.assert_allclose(convert_flux(flux, error, unit="Jy").error[0, 0], 36.31)
    # 1 Jy = 2.998e-5 / lambda^2 erg/s/cm2/A, lambda in Angstrom
    found = convert_flux([[1e6]], [[2e6]], unit="erg s-1 cm-2 Angstrom-1", pivot=[5000.0])
    assert found.value.item() == pytest.approx(2.99792458e-5 / 5000**2, rel=1e-9)
    assert found.error.item() == pytest.approx(2 * found.value.item())


def test_published_scales():
    """Abdurro'uf et al. (2021): NGC 309, and the galaxies MaNGA 12073-12703 and M51."""
    # of the cosmologies at hand only the default, H0 = 70 and Omega_m = 0.3, gives these
    for redshift, pixel, published in (
        (0.0188977, 1.5, 0.575187),
        (0.017636, 1.5, 0.537605),
        (0.001544, 8.0, 0.255985),
    ):
        found = kpc_per_pixel(ModelConfig(), redshift=redshift, pixel_scale=pixel)
        assert round(found, 6) == published
    for name in ("WMAP5", "WMAP7", "WMAP9", "Planck13", "Planck15", "Planck18"):
        other = ModelConfig.model_validate({"cosmology": name})
        found = kpc_per_pixel(other, redshift=0.0188977, pixel_scale=1.5)
        assert abs(found - 0.575187) > 1e-3


def test_what_cannot_be_measured():
    light = cube(np.ones((1, 9, 9)), 1.0)
    with pytest.raises(DataError, match="no region"):
        integrated_sed(light)
    with pytest.raises(DataError, match="no pixel"):
        integrated_sed(light, region=np.zeros((9, 9), bool))
    with pytest.raises(DataError, match="no place on the image"):
        aperture_weights(grid(1.0, 9), circle(1.0, ra=RA + 180, dec=-DEC))
    for radii in ([], [0.0, 1.0], [2.0, 1.0], [np.nan]):
        with pytest.raises(ConfigError, match="must be positive and increase"):
            curve_of_growth(light, ellipse=circle(1.0), radii=radii)
    with pytest.raises(ConfigError, match="'furlong' is unknown; wanted uJy"):
        convert_flux(1.0, 1.0, unit="furlong")
    with pytest.raises(ConfigError, match="pivot wavelengths"):
        convert_flux(1.0, 1.0, unit="erg s-1 cm-2 Angstrom-1")
