import numpy as np
import pytest
from scipy import stats

from benchmarks.morphology_mocks import Camera
from pxdask.core.errors import DataError
from pxdask.core.morphology import MorphologyConfig, shape_range
from pxdask.morphology.unpacking import curve, unpack
from tests.morphology.small import TRUTH, scene_of, stamps_of


@pytest.fixture(scope="module")
def stamps():
    cameras = {"y": Camera(0.4, 1.3)}
    return stamps_of(dict.fromkeys("grizy", TRUTH), cameras=cameras, side=24)


def widths(scene):
    """Return how many numbers each parameter of the galaxy takes."""
    return {name: part.stop - part.start for (i, name), part in scene.columns.items() if i <= 0}


def test_links_say_how_many_numbers_a_parameter_takes(stamps):
    config = MorphologyConfig(linked=("r_eff",), constant=("xc", "yc"), order=3)
    found = widths(scene_of(stamps, config=config))
    assert found == {
        "flux": 5, "xc": 1, "yc": 1, "r_eff": 4, "ellip": 5, "theta": 5, "n": 5, "sky": 5,
    }  # fmt: skip


def test_a_disc_is_linked_as_the_bulge_unless_it_is_named(stamps):
    config = MorphologyConfig(
        profile="sersic_exponential",
        linked=("r_eff", "n", "ellip"),
        constant=("xc", "yc", "theta", "disc_ellip"),
    )
    found = widths(scene_of(stamps, config=config))
    names = ("disc_r_eff", "disc_ellip", "disc_theta", "bulge_fraction")
    assert [found[name] for name in names] == [3, 1, 1, 5]


def test_bands_by_themselves_share_nothing(stamps):
    found = widths(scene_of(stamps, config=MorphologyConfig(joint=False)))
    assert set(found.values()) == {5}


@pytest.mark.parametrize("link", ["polynomial", "bspline"])
def test_a_fit_starts_at_the_first_guess_in_every_band(stamps, link):
    config = MorphologyConfig(link=link, sky="tilted")
    scene = scene_of(stamps, config=config)
    values = unpack(scene.start, scene)
    assert values["r_eff"][0] == pytest.approx(scene.guess.r_eff)
    assert values["ellip"][0] == pytest.approx(scene.guess.ellip)
    assert values["theta"][0] == pytest.approx(np.degrees(scene.guess.theta))
    assert values["n"][0] == pytest.approx(1.5)
    np.testing.assert_allclose(values["flux"][0], scene.guess.flux)
    np.testing.assert_allclose(values["sky"][0], scene.guess.sky)
    slopes = [each.slope for each in scene.guess.borders]
    np.testing.assert_allclose(np.transpose([values["sky_x"][0], values["sky_y"][0]]), slopes)


def test_the_sky_s_prior_is_that_of_the_border_and_has_ends(stamps):
    scene = scene_of(stamps)
    part, border = scene.columns[-1, "sky"], scene.guess.borders[0]
    theta = np.tile(scene.start, (2, 1))
    theta[:, part.start] = [scene.arrays["prior_std"][part.start], 100.0]
    one, end = unpack(theta, scene)["sky"][:, 0, 0] - border.level
    # three times the error, between bounds of 6: linear to 7 % within that
    assert one == pytest.approx(3 * border.level_err, rel=0.07)
    assert end == pytest.approx(6 * border.level_err)


def test_a_bulge_is_inside_its_disc_wherever_theta_goes(stamps):
    config = MorphologyConfig(profile="sersic_exponential", link="bspline")
    scene = scene_of(stamps, config=config)
    start = unpack(scene.start, scene)
    whole = scene.guess.r_eff
    assert start["r_eff"][0] == pytest.approx(0.25 * whole)
    assert start["n"][0] == pytest.approx(3.0)
    assert np.all(start["disc_r_eff"][0] >= whole)
    theta = np.random.default_rng(4).normal(0, 5.0, (50, len(scene.start)))
    values = unpack(theta, scene)
    assert np.all(values["r_eff"] <= values["disc_r_eff"])
    assert np.all(values["n"] >= 0.5)


def test_a_given_radius_of_a_bulge_is_not_held_to_the_pixels(stamps):
    config = MorphologyConfig.model_validate(
        {"profile": "sersic_exponential", "priors": {"r_eff": {"mean": 2.0, "std": 0.1}}}
    )
    scene = scene_of(stamps, config=config)
    assert scene.guess.r_eff < 2.0
    assert unpack(scene.start, scene)["r_eff"][0] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("profile", "name", "mean", "std"),
    [
        ("sersic", "ellip", 0.0, 0.1),
        ("sersic", "ellip", 0.02, 0.05),
        ("sersic", "ellip", 0.3, 0.1),
        ("sersic", "n", 0.25, 0.2),
        ("sersic", "n", 10.0, 1.0),
        ("sersic", "n", 4.0, 1.0),
        ("sersic", "n", 1.0, 1e-3),
        ("sersic", "r_eff", 0.5, 0.4),
        ("sersic_exponential", "n", 0.6, 0.5),
    ],
)
def test_a_given_prior_is_a_normal_one_in_the_value_between_its_ends(
    stamps, profile, name, mean, std
):
    """Mean and width of 20,000 draws within 2 %, four of their errors; and all of their law."""
    config = MorphologyConfig.model_validate(
        {"profile": profile, "priors": {name: {"mean": mean, "std": std}}}
    )
    scene = scene_of({"g": stamps["g"]}, config=config)
    normal = np.random.default_rng(1).standard_normal((20000, len(scene.start)))
    theta = scene.arrays["prior_mean"] + scene.arrays["prior_std"] * normal
    found = unpack(theta, scene)[name][:, 0, 0]
    ends = ((end - mean) / std for end in shape_range(name, profile))
    law = stats.truncnorm(*ends, mean, std)
    assert found.mean() == pytest.approx(law.mean(), abs=0.03 * law.std())
    assert found.std() == pytest.approx(law.std(), rel=0.02)
    assert stats.kstest(found, law.cdf).statistic < 0.015
    assert unpack(scene.start, scene)[name][0, 0] == pytest.approx(law.median(), abs=2e-3 * std)


def test_a_curve_of_a_given_shape_is_that_of_its_bands(stamps):
    config = MorphologyConfig.model_validate({"priors": {"ellip": {"mean": 0.0, "std": 0.1}}})
    scene = scene_of(stamps, config=config)
    theta = np.random.default_rng(2).normal(0, 0.5, (7, len(scene.start)))
    values, smooth = unpack(theta, scene)["ellip"][:, 0], curve(theta, scene, "ellip")
    np.testing.assert_allclose(smooth[:, [0, -1]], values[:, [0, -1]])


@pytest.mark.parametrize(
    ("name", "mean", "std", "words"),
    [
        ("n", 12.0, 1.0, "from 0.2 to 10"),
        ("ellip", -0.1, 0.1, "from 0 to 0.95"),
        ("r_eff", 0.0, 0.1, "above 0"),
        ("xc", 0.0, 0.0, "positive width"),
    ],
)
def test_a_prior_of_a_column_that_cannot_be_is_refused(stamps, name, mean, std, words):
    config = MorphologyConfig.model_validate({"priors": {name: {"mean": "m", "std": "s"}}})
    with pytest.raises(DataError, match=f"the prior of {name} is .*{words}"):
        scene_of(stamps, config=config, galaxy={"id": "mock", "m": mean, "s": std})


def test_curves_go_through_the_bands(stamps):
    scene = scene_of(stamps)
    theta = scene.start + np.random.default_rng(2).normal(0, 0.3, (7, len(scene.start)))
    values, smooth = unpack(theta, scene)["n"][:, 0], curve(theta, scene, "n")
    np.testing.assert_allclose(smooth[:, [0, -1]], values[:, [0, -1]])


def test_one_band_has_no_curve_but_a_constant(stamps):
    scene = scene_of({"g": stamps["g"]})
    assert set(widths(scene).values()) == {1}
    assert scene.curves["n"].shape == (50, 1)


def test_the_flux_of_a_galaxy_with_a_point_is_that_of_both(stamps):
    scene = scene_of(stamps, config=MorphologyConfig(profile="sersic_point"))
    values = unpack(scene.start, scene)
    np.testing.assert_allclose(values["flux"][0] - values["point_flux"][0], scene.guess.flux)
