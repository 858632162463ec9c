from types import SimpleNamespace

import numpy as np
import pytest

from pxdask.core.flags import Flag
from pxdask.core.morphology import MorphologyConfig
from pxdask.core.schema import MORPHOLOGY
from pxdask.morphology.fit import Fitted
from pxdask.morphology.results import to_dataset
from pxdask.morphology.unpacking import unpack
from tests.morphology.small import TRUTH, scene_of, stamps_of

CONFIG = MorphologyConfig()


@pytest.fixture(scope="module")
def scene():
    """Three bands, of which the middle one has no pixels and the last a smaller stamp."""
    stamps = stamps_of(dict.fromkeys("grz", TRUTH), side=24)
    stamps["r"]["masked"][:] = True
    stamps["z"] = stamps["z"].isel(x=slice(0, 20))
    return scene_of(stamps)


def fit_at_start(scene, theta=None):
    """Return a fit that ended where it began."""
    theta = scene.start if theta is None else theta
    shapes = [scene.stamps[i].flux.shape for i in scene.fitted]
    return Fitted(
        theta=theta,
        covariance=np.eye(len(theta)),
        ln_density=0.0,
        values=unpack(theta, scene),
        chi2=np.array([1.0, 1.5]),
        images=tuple(np.full(shape, 2.0) for shape in shapes),
        n_steps=7,
        flags=np.zeros(1, np.uint16),
    )


def drawn(theta, *, width=0.01, flags=0):
    draws = theta + width * np.random.default_rng(1).standard_normal((300, len(theta)))
    return SimpleNamespace(draws=draws, flags=flags)


def test_it_has_its_schema_and_nan_where_a_band_was_left_out(scene):
    made = MORPHOLOGY.validate(to_dataset(fit_at_start(scene), drawn(scene.start), scene, CONFIG))
    assert list(made["band"].values) == ["g", "r", "z"]
    for name in ("r_eff", "flux_best", "n_std", "snr", "chi2", "model"):
        fitted_bands = made[name].isel(band=[0, 2]).sel(band=["g", "z"])
        assert np.isfinite(
            fitted_bands.isel(x=slice(20)) if name == "model" else fitted_bands
        ).all()
        assert np.isnan(made[name].sel(band="r")).all(), name
    assert made["n_pix"].values.tolist() == [576, 0, 480]
    assert np.isnan(made["model"].sel(band="z").values[:, 20:]).all()


def test_quantiles_and_means_are_those_of_the_draws(scene):
    posterior = drawn(scene.start)
    made = to_dataset(fit_at_start(scene), posterior, scene, CONFIG)
    radius = unpack(posterior.draws, scene)["r_eff"][:, 0, 0]
    found = made["r_eff"].sel(source="galaxy", band="g")
    np.testing.assert_allclose(found, np.quantile(radius, [0.16, 0.5, 0.84]))
    assert made["r_eff_std"].values[0, 0] == pytest.approx(radius.std())
    flux = unpack(posterior.draws, scene)["flux"][:, 0, 0]
    best = unpack(scene.start, scene)["flux"][0, 0]
    assert made["snr"].values[0, 0] == pytest.approx(best / flux.std())


def test_angles_lie_about_the_best_across_north(scene):
    """Of an ellipse, 179 and 1 degree are neighbours."""
    theta = scene.start.copy()
    at = scene.layout.local.index((0, "theta"))
    low, high = (float(scene.of_band(end)[0, at]) for end in ("low", "high"))
    theta[scene.columns[0, "theta"]] = (np.pi + np.radians(0.2) - low) / high
    made = to_dataset(fit_at_start(scene, theta), drawn(theta), scene, CONFIG)
    assert made["theta_best"].values[0, 0] == pytest.approx(0.2)
    np.testing.assert_allclose(made["theta"].values[0, 0], [-0.4, 0.2, 0.8], atol=0.15)
    assert made["theta_std"].values[0, 0] == pytest.approx(0.6, abs=0.1)  # a hundredth of 60


def test_the_sampler_s_flags_are_the_galaxy_s(scene):
    posterior = drawn(scene.start, flags=int(Flag.NOT_CONVERGED))
    made = to_dataset(fit_at_start(scene), posterior, scene, CONFIG)
    assert made["flags"].values[0] == Flag.NOT_CONVERGED


def test_draws_that_are_nan_stay_so(scene):
    posterior = SimpleNamespace(draws=np.full((50, len(scene.start)), np.nan), flags=256)
    made = MORPHOLOGY.validate(to_dataset(fit_at_start(scene), posterior, scene, CONFIG))
    assert np.isnan(made["n"]).all()
    assert np.isnan(made["n_curve"]).all()
    assert np.isfinite(made["n_best"].sel(band="g")).all()
