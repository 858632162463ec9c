"""Every summary of RDSPS against plain numpy in double precision, model by model."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm, t

from pxdask.core.config import FitConfig
from pxdask.core.schema import QUANTILES
from pxdask.fitting import RdspsFitter, Seds
from pxdask.testing import fake_models, library_of, seds_of
from tests.fitting.evidence import ln_over_mass

PIVOT = np.geomspace(1500, 46000, 12)
NODES, SHARES = (-0.98, 0.0, 0.98), (0.41, 0.18, 0.41)
SCALED = {"log_mass": "surviving", "log_sfr": "sfr"}


def library(n_model, seed=1):
    return fake_models(PIVOT, n_model=n_model, rng=np.random.default_rng(seed))


SMALL, LARGE = library(2000), library(40_000)
PREPARED = {}


def prepared(size, **kwargs):
    key = size, *sorted(kwargs.items())
    if key not in PREPARED:
        models = SMALL if size == "small" else LARGE
        PREPARED[key] = RdspsFitter(FitConfig(**kwargs)).prepare(library_of(models))
    return PREPARED[key]


def direct(models, flux, flux_err, *, likelihood="gaussian", systematic=0.05):
    """Weights and amplitudes of all models, by definition."""
    used = np.isfinite(flux) & np.isfinite(flux_err) & (flux_err > 0)
    f, e = flux[used], np.hypot(flux_err, systematic * flux)[used]
    m = models["flux"].values.astype(float)[:, used]
    square = np.sum((m / e) ** 2, axis=1)
    scale = np.sum(f * m / e**2, axis=1) / square
    density = norm(scale=e) if likelihood == "gaussian" else t(2.0, scale=e)
    ln_like = density.logpdf(f - scale[:, None] * m).sum(axis=1)
    ln_like = np.where(scale > 0, ln_like, -np.inf)
    return ln_like, scale, square**-0.5


def check_summaries(fit, i, models, ln_like, scale, scale_err, *, ln_of_mass, tolerance=1e-4):
    """Check every number of one SED: `tolerance` in probability, and of the deviation."""
    weight = np.exp(ln_like - ln_like.max())
    share = weight / weight.sum()
    assert fit["n_eff"].values[i] == pytest.approx(1 / np.sum(share**2), rel=2 * tolerance)
    want = ln_like.max() + math.log(weight.mean()) + ln_of_mass
    # quadrature over mass is right to 3e-4
    assert fit["ln_evidence"].values[i] == pytest.approx(want, abs=5e-4 + tolerance)
    usable = scale > 0
    step = np.log10(1 + 0.98 * scale_err[usable] / scale[usable])
    for name in ("log_mass", "log_sfr", "log_age", "log_tau", "logzsol", "dust2", "av"):
        if name in SCALED:
            value = models[SCALED[name]].values
            value = np.maximum(value, 1e-14 * models["surviving"].values)[usable]
            value = np.log10(value * scale[usable])
            nodes = np.concatenate([value - step, value, value + step])
            weights = np.concatenate([part * share[usable] for part in SHARES])
        else:
            value = models[name].values[usable]
            nodes, weights = value, share[usable]
        mean = share[usable] @ value
        deviation = math.sqrt(share[usable] @ (value - mean) ** 2)
        # a class of values is 1/4096 of the range; a mean is right to a small part of that
        room = tolerance * deviation + 1e-5 * np.ptp(value)
        assert fit[f"{name}_mean"].values[i] == pytest.approx(mean, abs=room), name
        # of the weight, 1e-8 may be neglected, at either end of the range
        room = 2 * room + math.hypot(deviation, 1e-4 * np.ptp(value)) - deviation
        assert fit[f"{name}_std"].values[i] == pytest.approx(deviation, abs=room), name
        class_width = np.ptp(nodes) / 4096 if fit.attrs["n_models"] > 8192 else 1e-9
        for p, q in zip(QUANTILES, fit[name].values[i], strict=True):
            below = weights[nodes < q - class_width].sum()
            up_to = weights[nodes <= q + class_width].sum()
            assert below - tolerance <= p <= up_to + tolerance, (name, p)


def of_amplitudes(models, flux, flux_err, weighed, likelihood, systematic):
    """ln of the mean likelihood over mass over the best, of weights and amplitudes of `direct`."""
    used = np.isfinite(flux) & np.isfinite(flux_err) & (flux_err > 0)
    f, e = flux[used], np.hypot(flux_err, systematic * flux)[used]
    m = models["flux"].values.astype(float)[:, used]
    ln_like, scale, scale_err = weighed
    weight = np.exp(ln_like - ln_like.max())
    dof = math.inf if likelihood == "gaussian" else 2.0
    return ln_over_mass(f, e, m, scale, scale_err, weight, dof=dof)


def mock(models, seed, snr, *, missing=0, negative=False):
    rng = np.random.default_rng(seed)
    flux = 1e9 * models["flux"].values[rng.integers(models.sizes["model"])].astype(float)
    error = np.full(flux.size, np.median(flux) / snr) if negative else flux / snr
    flux = flux + error * rng.normal(size=flux.size)
    flux[rng.permutation(flux.size)[:missing]] = np.nan
    return flux[None], error[None]


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 10**6),
    log_snr=st.floats(0.5, 3),
    missing=st.integers(0, 10),
    likelihood=st.sampled_from(["gaussian", "student_t"]),
    systematic=st.sampled_from([0.0, 0.05]),
    negative=st.booleans(),
)
def test_every_summary_equals_direct_evaluation(
    seed, log_snr, missing, likelihood, systematic, negative
):
    flux, error = mock(SMALL, seed, 10**log_snr, missing=missing, negative=negative)
    weighed = direct(SMALL, flux[0], error[0], likelihood=likelihood, systematic=systematic)
    fit = prepared("small", likelihood=likelihood, systematic_error=systematic).fit(
        seds_of(flux, error)
    )
    of_mass = of_amplitudes(SMALL, flux[0], error[0], weighed, likelihood, systematic)
    check_summaries(fit, 0, SMALL, *weighed, ln_of_mass=of_mass)


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
@pytest.mark.parametrize("snr", [0.7, 1.5, 3.0, 5.0, 10.0, 12.5, 100.0, 1000.0])
def test_summaries_of_a_large_library_equal_direct_evaluation(snr, likelihood):
    fitter = prepared("large", likelihood=likelihood, systematic_error=0.0)
    pairs = [mock(LARGE, seed, snr, negative=seed % 2 == 0) for seed in range(4)]
    flux, error = (np.concatenate(each) for each in zip(*pairs, strict=True))
    fit = fitter.fit(seds_of(flux, error))
    for i in range(4):
        weighed = direct(LARGE, flux[i], error[i], likelihood=likelihood, systematic=0.0)
        of_mass = of_amplitudes(LARGE, flux[i], error[i], weighed, likelihood, 0.0)
        check_summaries(fit, i, LARGE, *weighed, ln_of_mass=of_mass)


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
def test_broad_and_narrow_posteriors_do_not_depend_on_their_company(likelihood):
    fitter = prepared("large", likelihood=likelihood)
    pairs = [mock(LARGE, seed, 10.0 ** (seed % 4 - 0.5)) for seed in range(20)]
    flux, error = (np.concatenate(each) for each in zip(*pairs, strict=True))
    fit = fitter.fit(seds_of(flux, error))
    order = [17, 2, 5]
    alone = fitter.fit(seds_of(flux[order], error[order]))
    for name in (name for name in fit.data_vars if "bin" in fit[name].dims):
        assert alone[name].values.tobytes() == fit[name].values[order].tobytes(), name


def test_a_small_memory_changes_nothing_beyond_rounding():
    # models that cannot be held twice stay in their order, so that sums are taken in another
    flux, error = (np.concatenate([a] * 5) for a in mock(LARGE, 1, 2.0))
    one = prepared("large").fit(seds_of(flux, error))
    other = prepared("large", max_memory=1e-4).fit(seds_of(flux, error))
    for name in one.data_vars:
        np.testing.assert_allclose(other[name], one[name], rtol=1e-5, atol=1e-6, err_msg=name)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), snr=st.floats(1, 50), likelihood=st.sampled_from(
    ["gaussian", "student_t"]))  # fmt: skip
def test_upper_limits_equal_direct_maximisation(seed, snr, likelihood):
    flux, error = mock(SMALL, seed, snr)
    flux[0] = np.maximum(flux[0], 0.1 * error[0])
    limited = np.zeros((1, 12), bool)
    limited[0, :3] = True
    flux[0, :3] = np.random.default_rng(seed).uniform(0.2, 3, 3) * flux[0, :3]
    few = SMALL.isel(model=slice(60))
    fit = (
        RdspsFitter(FitConfig(systematic_error=0.0, likelihood=likelihood))
        .prepare(library_of(few))
        .fit(Seds(flux, error, (("sed", 0),), upper_limit=limited))
    )
    m, f, e = few["flux"].values.astype(float), flux[0], error[0]
    density = norm(scale=e[3:]) if likelihood == "gaussian" else t(2.0, scale=e[3:])
    ln_like, scale = np.empty(60), np.empty(60)
    for j in range(60):

        def chance(s, j=j):
            return norm.logcdf((f[:3] - s * m[j, :3]) / e[:3]).sum()

        def cost(s, j=j):
            return 0.5 * np.sum(((f[3:] - s * m[j, 3:]) / e[3:]) ** 2) - chance(s, j)

        free = np.sum(f[3:] * m[j, 3:] / e[3:] ** 2) / np.sum((m[j, 3:] / e[3:]) ** 2)
        found = minimize_scalar(cost, bounds=(-free, 1.01 * free), method="bounded",
                                options={"xatol": 1e-9 * free})  # fmt: skip
        scale[j] = found.x
        ln_like[j] = density.logpdf(f[3:] - scale[j] * m[j, 3:]).sum() + chance(scale[j])
    ln_like = np.where(scale > 0, ln_like, -np.inf)
    assert fit["n_used"].item() == 12
    weight = np.exp(ln_like - ln_like.max())
    # the minimiser stops at half of the digits, where the cost is flat
    # relative errors by the curvature there, limits included
    step, err = 1e-4, np.empty(60)
    for j in range(60):
        apart = (f[:3] - scale[j] * np.array([1 - step, 1, 1 + step])[:, None] * m[j, :3]) / e[:3]
        ln = norm.logcdf(apart).sum(axis=1)
        curve = (
            np.sum((m[j, 3:] / e[3:]) ** 2) - (ln[0] - 2 * ln[1] + ln[2]) / (step * scale[j]) ** 2
        )
        err[j] = curve**-0.5
    dof = math.inf if likelihood == "gaussian" else 2.0
    want = ln_like.max() + math.log(weight.mean())
    want += ln_over_mass(f, e, m, scale, err, weight, dof=dof, limited=3)
    # quadrature with limits is right to 1e-3
    assert fit["ln_evidence"].item() == pytest.approx(want, abs=2e-3)
    share = weight / weight.sum()
    value = np.log10(np.maximum(scale, 1e-300) * few["surviving"].values)
    kept = share > 0
    assert fit["log_mass_mean"].item() == pytest.approx(share[kept] @ value[kept], abs=1e-4)


def test_limits_of_faint_fluxes_are_those_of_the_settings():
    flux, error = mock(SMALL, 5, 10.0)
    flux[0, 2] = 0.5 * error[0, 2]
    limited = np.zeros((1, 12), bool)
    limited[0, 2] = True
    given_flux = flux.copy()
    given_flux[0, 2] = 3 * error[0, 2]
    one = prepared("small", limits_below=1.0).fit(seds_of(flux, error))
    other = prepared("small").fit(Seds(given_flux, error, (("sed", 0),), upper_limit=limited))
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name], other[name])


def test_limits_alone_say_nothing():
    flux, error = mock(SMALL, 5, 10.0)
    fit = prepared("small").fit(
        Seds(flux, error, (("sed", 0),), upper_limit=np.ones((1, 12), bool))
    )
    assert np.isnan(fit["log_mass"].values).all()
    assert fit["n_used"].item() == 12


def test_systematic_errors_relative_to_sigma():
    flux, error = mock(SMALL, 6, 10.0)
    one = prepared("small", systematic_error=0.0, systematic_sigma=0.75).fit(seds_of(flux, error))
    other = prepared("small", systematic_error=0.0).fit(seds_of(flux, 1.25 * error))
    for name in one.data_vars:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9)
