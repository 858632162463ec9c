"""Mocks: what they are made of, and that a likelihood finds it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from pxdask.core.errors import ConfigError
from pxdask.core.models import ModelConfig
from pxdask.fitting.target import observed
from pxdask.npe.mocks import at_redshift, greatest_snr, make_mocks, mean_snr, noisy
from pxdask.npe.noise import broad_noise
from pxdask.sps.libraries import make_library
from pxdask.sps.priors import draw, resolve_priors
from pxdask.sps.simulator import Simulator
from pxdask.testing import seds_of
from tests.fitting.small import CENTRES, FIXED, filters, fit_settings, populations

BANDS = tuple(CENTRES)
RANGE = {"redshift": {"low": 0.1, "high": 0.2}}


def library(*, free=True, sfh="tau"):
    """Return models with a range of redshifts, or of one."""
    priors = {"log_tau": 0.5, **FIXED} if sfh == "tau" else {}
    settings = ModelConfig(sfh=sfh, priors={**priors, **(RANGE if free else {})})
    redshift = None if free else 0.15
    return make_library(populations(), filters(), settings=settings, redshift=redshift, seed=3)


def settings_of(**changed):
    """Return settings of a fit; ``snr`` and ``missing`` are the network's."""
    npe = {name: changed.pop(name) for name in ("snr", "missing") if name in changed}
    return fit_settings(npe=npe, **changed)


def mocks(n=3000, *, first=0, free=True, seed=7, noise=None, **changed):
    """Return mocks of a small library."""
    return make_mocks(
        library(free=free),
        noise or broad_noise(BANDS),
        n=n,
        seed=seed,
        settings=settings_of(**changed),
        first=first,
    )


def model_flux(found):
    """Return fluxes per mass formed of mocks at one redshift."""
    return Simulator(library(free=False)).simulate(found.unit).flux


def certain(n_sed, snr, **changed):
    """Return noise of a band, for truths of one."""
    values = {
        "background": np.full((n_sed, 1), 1 / snr),
        "photon": np.zeros((n_sed, 1)),
        "systematic_error": 0.0,
        "deviate": np.full((n_sed, 1), 2.0),
        "uniform": np.linspace(0, 1, n_sed, endpoint=False)[:, None],
    }
    return {**values, **changed}


def test_noise_by_hand():
    """Two errors of 0.1 above or below 1; half of each."""
    flux, error = noisy(np.ones((4, 1)), **certain(4, 10.0))
    np.testing.assert_allclose(flux[:, 0], [1.2, 1.2, 0.8, 0.8], rtol=1e-14)
    np.testing.assert_allclose(error, 0.1, rtol=1e-14)


def test_systematic_noise_by_hand():
    """With errors of 10 % of the flux alone, a deviate of 2 is f = 1 + 0.2 f, or 1 - 0.2 f.

    The sign is positive with probability (1 + 0.1 2) / 2.
    """
    changed = {"background": np.full((10, 1), 1e-12), "systematic_error": 0.1}
    flux, error = noisy(np.ones((10, 1)), **certain(10, 1.0, **changed))
    np.testing.assert_allclose(flux[:, 0], [1.25] * 6 + [1 / 1.2] * 4, rtol=1e-12)
    np.testing.assert_allclose(error, 0.1 * flux, rtol=1e-12)


@given(
    st.floats(0, 1e3), st.floats(0.01, 10), st.floats(0, 5), st.floats(0, 0.2), st.floats(-4, 4),
    st.floats(0, 1, exclude_max=True),
)  # fmt: skip
def test_noise_is_a_multiple_of_the_error(truth, background, photon, systematic, deviate, uniform):
    """What is added is the deviate times the error of what comes out."""
    values = (np.full((1, 1), each) for each in (background, photon, deviate, uniform))
    background, photon, deviate, uniform = values
    flux, error = noisy(
        np.full((1, 1), truth), background=background, photon=photon,
        systematic_error=systematic, deviate=deviate, uniform=uniform,
    )  # fmt: skip
    spent = np.abs(flux - truth)
    # the difference of two roots loses half of the digits where the noise is small
    np.testing.assert_allclose(spent, np.abs(deviate) * error, rtol=1e-9, atol=1e-7 * (1 + truth))
    light = max(float(flux[0, 0]), 0.0)
    whole = background**2 + photon * light + (systematic * flux) ** 2
    np.testing.assert_allclose(error**2, whole, rtol=1e-12)


@pytest.mark.statistical
@pytest.mark.parametrize("dof", [np.inf, 3.0])
@pytest.mark.parametrize(
    ("background", "photon", "systematic"),
    [(0.3, 0.0, 0.0), (0.3, 0.1, 0.05), (0.01, 0.0, 0.1), (0.05, 0.04, 0.0)],
)
def test_the_likelihood_is_exact(background, photon, systematic, dof):
    """The posterior of a mass whose log prior is flat covers the truth as it must.

    8,000 SEDs of two bands; the posterior is that of the likelihood that fits use, on a grid.
    """
    rng = np.random.default_rng(11)
    n_sed, ends = 8000, (-2.0, 2.0)
    ln_mass = rng.uniform(*ends, n_sed)
    truth = np.exp(ln_mass)[:, None] * np.array([1.0, 2.0])
    size = truth.shape
    deviate = rng.standard_normal(size) if np.isinf(dof) else rng.standard_t(dof, size)
    flux, error = noisy(
        truth,
        background=np.full(size, background),
        photon=np.full(size, photon),
        systematic_error=systematic,
        deviate=deviate,
        uniform=rng.random(size),
    )
    grid = np.linspace(*ends, 1200)
    rank = np.empty(n_sed)
    for sed in range(n_sed):
        apart = flux[sed][:, None] - np.exp(grid) * np.array([[1.0], [2.0]])
        apart /= error[sed][:, None]
        terms = -0.5 * apart**2
        if np.isfinite(dof):
            terms = -0.5 * (dof + 1) * np.log1p(apart**2 / dof)
        total = terms.sum(axis=0)
        p = np.exp(total - total.max())
        sums = np.cumsum(p)
        rank[sed] = np.interp(ln_mass[sed], grid, (sums - 0.5 * p) / sums[-1])
    # Kolmogorov-Smirnov at 1 %
    assert kstest(rank, "uniform").statistic < 1.63 / np.sqrt(n_sed)


def test_a_slice_is_a_slice():
    """A mock is the same whatever is made beside it."""
    whole, part = mocks(9000, missing=0.5), mocks(1500, first=4000, missing=0.5)
    same = np.flatnonzero(np.isin(whole.log_mass, part.log_mass))
    assert same.size == len(part)
    for name in ("unit", "log_mass", "flux", "error", "redshift"):
        np.testing.assert_array_equal(getattr(whole, name)[same], getattr(part, name))


def test_other_seeds_other_mocks():
    """Nothing of one seed is in another."""
    assert not np.isin(mocks(500, seed=8).log_mass, mocks(500).log_mass).any()


def test_targets():
    """The redshift is given, unless it is asked for; of one redshift there is none."""
    given_ = mocks(200)
    assert given_.names == ("log_age", "logzsol", "dust2")
    assert np.all((given_.redshift >= 0.1) & (given_.redshift <= 0.2))
    settings = settings_of()
    asked = make_mocks(
        library(), broad_noise(BANDS), n=200, seed=7, settings=settings, redshift_given=False
    )
    assert asked.names == ("redshift", "log_age", "logzsol", "dust2")
    assert asked.redshift is None
    np.testing.assert_array_equal(asked.unit[:, 1:], given_.unit)
    assert mocks(200, free=False).redshift is None


def test_cube_at_one_redshift_is_that_of_a_range():
    """A point of the cube is the same model whether the redshift is given or drawn.

    To 1e-7: the age of the universe at a redshift that is free is a spline.
    """
    settings = library().settings
    free = resolve_priors(settings)
    unit = np.random.default_rng(2).random((300, len(free)))
    models = draw(free, unit, settings=settings)
    for row in range(0, 300, 30):
        redshift = float(models["redshift"][row])
        fixed = library(free=False).settings
        alone = draw(resolve_priors(fixed, redshift=redshift), unit[row : row + 1, 1:])
        for name, value in alone.items():
            np.testing.assert_allclose(value[0], models[name][row], rtol=1e-7)


def test_mass_and_noise_are_those_of_the_data():
    """Models of the targets' parameters and masses are within the noise of the fluxes."""
    found = mocks(4000, free=False, missing=0.0)
    truth = 10.0 ** found.log_mass[:, None] * model_flux(found)
    bright = np.max(truth / found.error, axis=1) > 10  # where selection does not favour noise
    residual = ((found.flux - truth) / found.error)[bright]
    # 5 sigma of so many numbers
    assert np.std(residual) == pytest.approx(1.0, abs=5 / np.sqrt(2 * residual.size))
    # photon noise of the observed flux: signs are uneven by 0.5 photon / error, 0.02 or less here
    assert abs(np.mean(residual)) < 0.02 + 5 / np.sqrt(residual.size)


@pytest.mark.statistical
def test_levels_are_even():
    """S/N in the best band is even in its logarithm where the noise has no photons."""
    noise = replace(broad_noise(BANDS), photon=np.zeros(5))
    found = mocks(20000, free=False, noise=noise, snr=(2.0, 50.0))
    best = np.nanmax(10.0 ** found.log_mass[:, None] * model_flux(found) / found.error, axis=1)
    assert best.max() <= 50 * (1 + 1e-6)
    bright = best[best > 5]  # selection is far below
    assert kstest(np.log(bright / 5) / np.log(10), "uniform").pvalue > 0.01


def test_selection_is_of_data():
    """All are as bright as asked for, though some of their sources are not."""
    found = mocks(4000, snr=(3.0, 30.0))
    assert 0.5 < len(found) / 4000 < 1
    assert np.all(mean_snr(found.flux, found.error) >= 3)
    assert np.all(np.isfinite(found.log_mass))


def test_photons_raise_the_range():
    """With photon noise the best band still gets near the greatest S/N asked for."""
    noise = replace(broad_noise(BANDS), photon_scatter=0.0, covariance=np.zeros((5, 5)))
    found = mocks(4000, noise=noise, missing=0.0)
    best = np.max(found.flux / found.error, axis=1)
    assert 190 < best.max() < 215


def test_missing_bands():
    """The share asked for lacks bands, and at least three are left."""
    found = mocks(4000, missing=0.4)
    n_left = np.isfinite(found.flux).sum(axis=1)
    # those that lose any lose one to two of five; 5 sigma of 4,000
    assert np.mean(n_left < 5) == pytest.approx(0.4, abs=5 * np.sqrt(0.24 / 4000))
    assert n_left.min() == 3
    np.testing.assert_array_equal(np.isfinite(found.flux), np.isfinite(found.error))
    assert np.isfinite(mocks(500, missing=0.0).flux).all()


@pytest.mark.parametrize("kind", ["systematic_error", "systematic_sigma"])
def test_errors_are_those_of_the_likelihood(kind):
    """A fit of what a survey would give, the error before systematic ones, has the mocks' error."""
    noise = replace(broad_noise(BANDS), photon=np.zeros(5))
    found = mocks(1000, noise=noise, missing=0.0, **{kind: 0.2})
    plain = mocks(1000, noise=noise, missing=0.0)
    given_ = plain.error[np.isin(plain.log_mass, found.log_mass)]
    rows = np.isin(found.log_mass, plain.log_mass)
    if kind == "systematic_sigma":  # levels are those of the wider error
        given_, rows = found.error / np.hypot(1, 0.2), np.ones(len(found), bool)
    data = observed(seds_of(found.flux[rows], given_), settings_of(**{kind: 0.2}))
    np.testing.assert_allclose(data.error, found.error[rows], rtol=1e-12)


@pytest.mark.parametrize("sfh", ["dirichlet", "continuity"])
def test_time_bins(sfh):
    """Histories in bins have mocks at all redshifts."""
    settings = settings_of(missing=0.0)
    found = make_mocks(library(sfh=sfh), broad_noise(BANDS), n=64, seed=1, settings=settings)
    assert len(found.names) == found.unit.shape[1]
    assert np.isfinite(found.flux).all()


def test_other_bands():
    """A noise model of other bands is refused."""
    with pytest.raises(ConfigError, match="the noise model is of the bands a, b"):
        mocks(10, noise=broad_noise(("a", "b")))


def test_models_of_one_redshift_of_a_range():
    whole, one = library(), at_redshift(library(), 0.15)
    assert (one.redshift, one.seed, one.bands) == (0.15, whole.seed, whole.bands)
    assert "redshift" not in one.settings.priors
    assert {*one.settings.priors, "redshift"} == {*whole.settings.priors}
    # its models are those of the range, there: the redshift is the first of the columns
    names = Simulator(whole).names
    unit = np.random.default_rng(1).random((20, len(names)))
    unit[:, names.index("redshift")] = 0.5
    found = Simulator(one).simulate(np.delete(unit, names.index("redshift"), axis=1)).flux
    # between nodes of redshift fluxes are interpolated
    np.testing.assert_allclose(found, Simulator(whole).simulate(unit).flux, rtol=0.01)


@pytest.mark.statistical
def test_independent_points_are_told_from_even_ones():
    """Even points are far too even to test anything with; selection does not matter here."""
    distances = {}
    for points in ("sobol", "random"):
        every = [
            make_mocks(
                library(),
                broad_noise(BANDS),
                n=512,
                seed=seed,
                settings=settings_of(snr=(1e-6, 200.0)),
                points=points,
            ).unit
            for seed in range(12)
        ]
        distances[points] = np.array(
            [
                np.sqrt(len(unit)) * kstest(column, "uniform").statistic
                for unit in every
                for column in unit.T
            ]
        )
    # of the Kolmogorov distribution: 0.8687 with a deviation of 0.2603; of 36
    assert np.mean(distances["random"]) == pytest.approx(0.8687, abs=4 * 0.2603 / 6)
    assert np.mean(distances["sobol"]) < 0.6


def test_independent_mocks_are_the_same_in_any_slice():
    kept = {"noise": broad_noise(BANDS), "seed": 7, "settings": settings_of(), "points": "random"}
    whole = make_mocks(library(), n=9000, **kept)
    part = make_mocks(library(), n=1500, first=4000, **kept)
    same = np.flatnonzero(np.isin(whole.log_mass, part.log_mass))
    assert same.size == len(part)
    np.testing.assert_array_equal(whole.unit[same], part.unit)
    assert not np.isin(part.log_mass, mocks(9000).log_mass).any()


@pytest.mark.parametrize("systematic", [0.0, 0.05])
@pytest.mark.parametrize("broad", [True, False])
def test_few_mocks_are_beyond_the_greatest_snr(broad, systematic):
    noise = broad_noise(BANDS)
    if not broad:
        noise = replace(noise, photon_scatter=0.0, covariance=np.zeros((5, 5)))
    settings = settings_of(snr=(1.0, 200.0), systematic_error=systematic)
    found = make_mocks(library(), noise, n=20000, seed=4, settings=settings)
    raw = np.sqrt(found.error**2 - (systematic * found.flux) ** 2)
    best = np.nanmax(found.flux / raw, axis=1)
    greatest = greatest_snr(noise, 200.0, systematic_error=systematic, systematic_sigma=0.0)
    assert np.mean(best > greatest) < 1e-3
    # and it is not far beyond all
    assert 0.5 * greatest < best.max()
    if not broad and not systematic:  # the end that is asked for, and three deviations
        assert greatest == pytest.approx(203, abs=0.1)
