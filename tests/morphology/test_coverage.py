import numpy as np
import pytest

from pxdask.core.morphology import MorphologyConfig
from pxdask.morphology.coverage import light_points, seen_parts
from tests.morphology.small import TRUTH, scene_of, stamps_of

WORDS = {"xc": 0.0, "yc": 0.0, "r_eff": 0.7, "n": 1.0, "ellip": 0.3, "theta": 20.0, "flux": 40.0}


def seen(good, *, config=None, **changes):
    """Return what a band sees of a galaxy, of which only some columns of pixels are good."""
    stamps = stamps_of({"g": TRUTH})
    stamps["g"]["masked"].values[:] = ~good
    scene = scene_of(stamps, config=config)
    values = {name: np.array([[value]]) for name, value in {**WORDS, **changes}.items()}
    return seen_parts(scene, values)[0]


def columns(count):
    return np.broadcast_to(np.arange(32) < count, (32, 32))


@pytest.mark.parametrize("index", [0.5, 1.0, 4.0])
def test_a_galaxy_that_is_cut_through_its_middle_is_half_seen(index):
    # the middle is between two columns; an angle is as good as another by symmetry
    assert seen(columns(16), n=index) == pytest.approx(0.5, abs=0.02)
    assert seen(columns(32), n=index) == 1.0


def test_a_gaussian_cut_at_its_half_light_radius_by_hand():
    """Of a round Gaussian's light within twice the half-light radius, what is beyond one radius.

    That is r = 1.1774 sigma: the strip from there on holds 11.95 % of all, 93.75 % are within
    twice that, of which 6.25 % beyond; the cap of the strip within is from a plain sum.
    """
    points = light_points(r_eff=1.0, index=0.5, ellip=0.0, theta=0.0, blur=0.0)
    x, y = np.meshgrid(np.linspace(-2, 2, 2001), np.linspace(-2, 2, 2001))
    light = np.exp(-np.log(2) * (x**2 + y**2)) * (np.hypot(x, y) < 2)
    wanted = light[x > 1].sum() / light.sum()
    assert np.mean(points[0] > 1) == pytest.approx(wanted, abs=0.005)


def test_points_lie_along_the_major_axis():
    east, north = light_points(r_eff=1.0, index=1.0, ellip=0.8, theta=90.0, blur=0.0)
    assert east.std() == pytest.approx(5 * north.std(), rel=1e-6)


def test_more_pixels_never_show_less():
    parts = [seen(columns(count)) for count in range(12, 24)]
    assert np.all(np.diff(parts) >= 0)
    assert parts[0] < 0.2
    assert parts[-1] > 0.9


def test_a_point_is_as_wide_as_its_psf():
    stamps = stamps_of({"g": TRUTH})
    scene = scene_of(stamps, config=MorphologyConfig(profile="point"))
    values = {name: np.array([[0.0]]) for name in ("xc", "yc", "flux")}
    assert seen_parts(scene, values)[0] == 1.0
    values["xc"][:] = -3.3  # 0.1 arcsec beyond the stamp's edge, west of its middle
    assert 0.1 < seen_parts(scene, values)[0] < 0.5
    values["xc"][:] = np.nan
    assert np.isnan(seen_parts(scene, values)[0])


def test_a_bulge_and_its_disc_count_by_their_light():
    config = MorphologyConfig(profile="sersic_exponential")
    small = {"r_eff": 0.05, "xc": 1.2, "disc_r_eff": 0.05, "disc_ellip": 0.0, "disc_theta": 0.0}
    parts = [
        seen(columns(16), config=config, **{**small, "bulge_fraction": part, "disc_r_eff": size})
        for part, size in ((1.0, 3.0), (0.5, 3.0), (0.0, 3.0))
    ]
    assert parts[1] == pytest.approx((parts[0] + parts[2]) / 2)
    assert parts[0] > parts[2]
