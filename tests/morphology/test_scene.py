import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs.utils import skycoord_to_pixel

from benchmarks.morphology_mocks import DEC, RA, Camera, pixel_psf
from pxdask.core.errors import DataError
from pxdask.core.morphology import MorphologyConfig
from pxdask.images.grid import parse_wcs
from pxdask.morphology.scene import Neighbour, bucket, psf_transform
from tests.morphology.small import CAMERA, TRUTH, scene_of, stamps_of


@pytest.fixture(scope="module")
def stamps():
    return stamps_of({"g": TRUTH, "r": TRUTH, "z": TRUTH}, cameras={"z": Camera(0.4, 1.3)}, side=30)


def test_bands_of_one_side_are_one_group(stamps):
    small = {**stamps, "z": stamps["z"].isel(x=slice(5, 25), y=slice(5, 25))}
    assert scene_of(small).layout.groups == ((3, 32),)
    assert [bucket(side) for side in (20, 32, 33, 120, 256, 257)] == [32, 32, 48, 128, 256, 320]


def test_the_map_to_pixels_is_the_wcs(stamps):
    scene = scene_of(stamps)
    offsets = np.array([1.5, -0.8])  # east, north
    place = SkyCoord(RA, DEC, unit="deg").spherical_offsets_by(*(offsets * u.arcsec))
    for band, matrix, origin in zip(
        scene.bands, scene.of_band("matrix"), scene.of_band("origin"), strict=True
    ):
        wanted = skycoord_to_pixel(place, parse_wcs(stamps[band].attrs["wcs"]))
        np.testing.assert_allclose(origin + matrix @ offsets, wanted, atol=1e-5)


def test_what_is_masked_or_bad_counts_for_nothing(stamps):
    bad = stamps["g"].copy(deep=True)
    bad["flux"][3, 4] = np.nan
    bad["flux_err"][5, 6] = 0.0
    bad["masked"][7, 8] = True
    group = scene_of({"g": bad}).arrays["groups"][0]
    weight = group["weight"][0]
    assert [weight[at] for at in ((3, 4), (5, 6), (7, 8))] == [0, 0, 0]
    assert np.count_nonzero(weight) == 900 - 3
    assert np.all(np.isfinite(group["flux"]))


def test_a_band_without_pixels_is_left_out(stamps, caplog):
    empty = stamps["r"].copy(deep=True)
    empty["masked"][:] = True
    scene = scene_of({"g": stamps["g"], "r": empty, "z": stamps["z"]})
    assert scene.bands == ("g", "z")
    assert [each.band for each in scene.stamps] == ["g", "r", "z"]
    assert "'r'" in caplog.text


def test_no_band_with_pixels_is_said(stamps):
    empty = stamps["r"].copy(deep=True)
    empty["flux"][:] = np.nan
    with pytest.raises(DataError, match=r"'mock': no band has 25 good pixels.*\{'r': 0\}"):
        scene_of({"r": empty})


def test_start_and_priors_have_one_number_for_each_parameter(stamps):
    scene = scene_of(stamps)
    arrays, n_dim = scene.arrays, scene.layout.n_dim
    # fluxes and skies of three bands, three constants, three parabolas
    assert n_dim == 3 + 3 + 3 + 9
    assert scene.start.shape == arrays["prior_mean"].shape == arrays["prior_std"].shape == (n_dim,)
    assert np.all(arrays["prior_std"] > 0)


def test_neighbours_have_one_shape_in_all_bands(stamps):
    beside = Neighbour(ra=RA, dec=DEC + 2 / 3600, radius=0.6)
    scene = scene_of(stamps, neighbours=[beside])
    assert scene.sources == ("galaxy", "1")
    assert scene.layout.sources == ("sersic", "sersic")
    assert scene.columns[1, "r_eff"].stop - scene.columns[1, "r_eff"].start == 1
    assert scene.columns[1, "flux"].stop - scene.columns[1, "flux"].start == 3


@pytest.mark.parametrize("side", [15, 16])
def test_a_psf_is_centred_whether_its_side_is_odd_or_even(side):
    psf = np.exp(-0.5 * ((np.indices((side, side)) - (side - 1) / 2) ** 2).sum(axis=0) / 4)
    transform = psf_transform(psf, n_fft=48)
    assert transform[0, 0] == pytest.approx(1.0)
    np.testing.assert_allclose(transform.imag, 0, atol=1e-12)


def test_a_large_psf_is_cut_about_its_middle():
    psf = pixel_psf(CAMERA, side=101)
    transform = psf_transform(psf, n_fft=48)
    np.testing.assert_allclose(transform.imag[:24, :24], 0, atol=1e-6)


def test_priors_come_from_the_catalogue(stamps):
    config = MorphologyConfig.model_validate(
        {"priors": {"r_eff": {"mean": "radius", "std": 0.1}, "theta": {"mean": 30.0, "std": 5.0}}}
    )
    scene = scene_of(stamps, config=config, galaxy={"id": "a", "radius": 0.9})
    at = scene.layout.local.index((0, "r_eff"))
    assert scene.of_band("mean")[:, at] == pytest.approx(0.9)
    assert scene.of_band("std")[:, at] == pytest.approx(0.1)
    assert scene.layout.given == ("r_eff",)
    at = scene.layout.local.index((0, "theta"))
    assert np.degrees(scene.of_band("low")[0, at]) == pytest.approx(30.0)


def test_an_impossible_prior_is_said(stamps):
    config = MorphologyConfig.model_validate({"priors": {"r_eff": {"mean": "radius", "std": 0.1}}})
    with pytest.raises(DataError, match=r"prior of r_eff is -1 \+- 0\.1; wanted a mean above 0"):
        scene_of(stamps, config=config, galaxy={"id": "a", "radius": -1.0})
