import math
import sys

import numpy as np
import pytest

from pxdask.core.errors import ConfigError
from pxdask.core.fits import NestedConfig
from pxdask.core.flags import Flag
from pxdask.fitting.nested import sample
from pxdask.fitting.stage import fitter_of
from pxdask.fitting.target import HALF_RANGE, Sampled
from pxdask.kernels.pair_likelihood import pair_ln_likelihood
from pxdask.testing import seds_of
from tests.fitting.small import fit_settings, small_library

BOTH = pytest.mark.parametrize(("sampler", "n_live"), [("nautilus", 300), ("dynesty", 200)])


@pytest.mark.slow
@BOTH
def test_evidence_and_width_of_a_gaussian(sampler, n_live):
    width, middle = 0.05, np.array([0.5, 0.4, 0.6])

    def ln_density(cube):
        return -0.5 * np.sum(((cube - middle) / width) ** 2, axis=1)

    found = sample(
        ln_density,
        n_dim=3,
        settings=NestedConfig(sampler=sampler, n_live=n_live),
        rng=np.random.default_rng(1),
    )
    assert found.complete
    truth = 3 * math.log(width * math.sqrt(2 * math.pi))
    assert abs(found.ln_evidence - truth) < 3 * found.ln_evidence_err
    assert found.ln_evidence_err < 0.3
    mean = found.weights @ found.cube / found.weights.sum()
    # some 1,000 effective samples: the mean to 0.05 / 30
    np.testing.assert_allclose(mean, middle, atol=0.008)
    assert np.linalg.norm(found.best - middle) < 2 * width


@pytest.mark.slow
@BOTH
def test_the_cap_of_calls_is_told(sampler, n_live):
    found = sample(
        lambda cube: -0.5 * np.sum(((cube - 0.5) / 1e-3) ** 2, axis=1),
        n_dim=3,
        settings=NestedConfig(sampler=sampler, n_live=n_live, max_calls=500),
        rng=np.random.default_rng(1),
    )
    assert not found.complete


@pytest.mark.parametrize("max_calls", [900, 1000, 1300])
def test_a_cap_soon_after_the_exploration_leaves_nothing_out(max_calls):
    """nautilus has explored after some 850 calls, and then begins anew, shell by shell."""
    found = sample(
        lambda cube: -0.5 * np.sum(((cube - 0.5) / 0.1) ** 2, axis=1),
        n_dim=2,
        settings=NestedConfig(n_live=50, max_calls=max_calls),
        rng=np.random.default_rng(1),
    )
    assert not found.complete
    truth = 2 * math.log(0.1 * math.sqrt(2 * math.pi))
    # 50 live points: of the order of 0.1; without some of the shells it is 0.6 to 10 too small
    assert found.ln_evidence == pytest.approx(truth, abs=0.3)
    np.testing.assert_allclose(found.weights @ found.cube / found.weights.sum(), 0.5, atol=0.03)


def test_an_evidence_has_an_error_even_where_no_sed_can_be_fitted():
    library = small_library()
    settings = fit_settings(method="nested")
    flux = np.full((1, 5), np.nan)
    fit = fitter_of(settings).prepare(library).fit(seds_of(flux, flux))
    assert np.isnan(fit["ln_evidence_err"].values).tolist() == [True]


@pytest.mark.slow
@pytest.mark.statistical
@BOTH
def test_evidence_of_an_sed_is_the_mean_of_its_likelihood(sampler, n_live):
    library = small_library()
    flux = 1e9 * library.draw()["flux"].values[[5]].astype(float)
    settings = fit_settings(method="nested", nested={"sampler": sampler, "n_live": n_live})
    error = 0.2 * flux
    fit = fitter_of(settings).prepare(library).fit(seds_of(flux, error))
    sampled = Sampled(settings, library)
    # the mean over models at their best amplitude, times the width of the amplitude's Gaussian over
    # that of its prior: sqrt(2 pi) sigma_s / (s ln 10) of 2 HALF_RANGE dex
    models = sampled.first.flux.astype(float) / error
    square = np.sum(models**2, axis=1)
    scale = models @ (flux / error)[0] / square
    ln_likelihood = pair_ln_likelihood(
        flux, error, np.zeros(flux.shape, bool), sampled.first.flux,
        scale=scale, sed=np.zeros(len(scale), np.intp),
    )  # fmt: skip
    part = math.sqrt(2 * math.pi) / (np.sqrt(square) * scale * math.log(10) * 2 * HALF_RANGE)
    want = math.log(np.mean(np.exp(ln_likelihood) * part))
    # the amplitude's Gaussian is one in s, its prior in log s: 11 sigma from zero, second order
    # in 1 / 11
    assert abs(fit["ln_evidence"].item() - want) < 3 * fit["ln_evidence_err"].item() + 0.02
    assert fit["n_eff"].item() > 100
    assert fit["chi2"].item() < 1
    assert not fit["flags"].item() & int(Flag.NOT_CONVERGED)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
def test_evidence_means_the_same_as_that_of_a_library(likelihood):
    library = small_library(n_models=10_000)
    rng = np.random.default_rng(2)
    flux = 1e9 * library.draw()["flux"].values[17:20].astype(float)
    error = flux / np.array([[3.0], [5.0], [8.0]])
    seds = seds_of(flux + error * rng.standard_normal(flux.shape), error)
    nested = fit_settings(method="nested", likelihood=likelihood, nested={"n_live": 200})
    found = [
        fitter_of(settings).prepare(library).fit(seds)["ln_evidence"].values
        for settings in (nested, fit_settings(likelihood=likelihood))
    ]
    # samplers have an error of 0.02; a library takes Student's t where a Gaussian is best, and the
    # width of the best model for that of all: 0.2. Without the mean over mass it would be 3 to 4.
    np.testing.assert_allclose(found[1], found[0], atol=0.3)


@pytest.mark.slow
def test_an_sed_gives_the_same_alone_and_nothing_gives_nothing():
    library = small_library()
    flux = 1e9 * library.draw()["flux"].values[:2].astype(float)
    flux[1] = np.nan
    settings = fit_settings(method="nested", nested={"n_live": 100}, n_samples=4)
    prepared = fitter_of(settings).prepare(library)
    both = prepared.fit(seds_of(flux, 0.2 * np.abs(flux)))
    alone = prepared.fit(seds_of(flux[:1], 0.2 * flux[:1]))
    for name in alone.data_vars:
        np.testing.assert_array_equal(both[name].values[:1], alone[name].values)
    assert both["flags"].values[1] == int(Flag.NOT_FITTED)
    assert both["log_mass_samples"].shape == (2, 4)


@BOTH
def test_without_the_package_the_way_out_is_told(monkeypatch, sampler, n_live):
    monkeypatch.setitem(sys.modules, sampler, None)
    settings = fit_settings(method="nested", nested={"sampler": sampler, "n_live": n_live})
    with pytest.raises(ConfigError, match=f"pip install {sampler}"):
        fitter_of(settings).prepare(small_library())
