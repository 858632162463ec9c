import logging
import math
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from pxdask.core.config import FitConfig
from pxdask.core.errors import DataError, SchemaError
from pxdask.core.flags import Flag
from pxdask.core.schema import FIT, MODELS
from pxdask.fitting import RdspsFitter
from pxdask.testing import check_fitter, fake_models, library_of, seds_of
from tests.fitting.evidence import ln_over_mass

PIVOT = np.array([2300.0, 4700.0, 6200.0, 9000.0, 16500.0])
BOTH = pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])


def library(n_model=300, seed=1, pivot=PIVOT):
    return fake_models(pivot, n_model=n_model, rng=np.random.default_rng(seed))


def fitter(**kwargs):
    return RdspsFitter(FitConfig(**{"systematic_error": 0.0, **kwargs}))


def sed(models, number=7, mass=1e9, snr=10.0):
    flux = mass * models["flux"].values[[number]].astype(float)
    return flux, np.abs(flux) / snr


def tiny(**changed):
    """Two models in two bands, colours (1, 1) and (1, 2)."""
    columns = {
        "surviving": ([0.5, 0.8], ""),
        "sfr": ([1e-9, 0.0], "1 / yr"),
        "log_age": ([9.0, 10.0], "dex(yr)"),
    }
    ds = xr.Dataset(
        {
            "flux": (
                ("model", "band"),
                np.array([[1, 1], [1, 2]], np.float32),
                {"units": "uJy Msun-1"},
            )
        }
        | {
            name: ("model", np.array(changed.get(name, value)), {"units": unit})
            for name, (value, unit) in columns.items()
        },
        coords={
            "band": ("band", np.array(["g", "r"], object)),
            "pivot_wave": ("band", np.array([5e3, 6e3]), {"units": "Angstrom"}),
        },
        attrs={"schema": MODELS.tag},
    )
    return MODELS.validate(ds)


def test_two_bands_and_two_models_by_hand():
    flux, error = np.array([[2.0, 3.0]]), np.array([[1.0, 0.5]])
    fit = fitter().prepare(library_of(tiny())).fit(seds_of(flux, error))
    scales = np.array([14 / 5, 26 / 17])
    chi2 = np.array([0.8**2 + 4 * 0.2**2, (2 - 26 / 17) ** 2 + 4 * (3 - 52 / 17) ** 2])
    likelihood = np.exp(-chi2 / 2) / (2 * math.pi * 0.5)
    weight = likelihood / likelihood.sum()  # 0.430 and 0.570
    assert fit["chi2"].item() == pytest.approx(chi2[1], rel=1e-12)
    np.testing.assert_allclose(fit["model_flux"], [[scales[1], 2 * scales[1]]], rtol=1e-12)
    assert fit["n_eff"].item() == pytest.approx(1 / np.sum(weight**2), rel=1e-12)
    # the mean over six dex of mass, of an amplitude known to 0.164 or 0.159 in the mean
    relative = np.array([5**-0.5, 17**-0.5]) / scales
    relative = (10 ** (weight @ np.log10(1 + 0.98 * relative)) - 1) / 0.98
    x = 10.0 ** np.linspace(-3, 3, 100_001)
    part = np.trapezoid(np.exp(-0.5 * ((x - 1) / relative) ** 2), np.log10(x)) / 6
    want = math.log(likelihood.mean() * part)
    assert fit["ln_evidence"].item() == pytest.approx(want, abs=1e-4)
    np.testing.assert_array_equal(fit["log_age"], [[9.0, 10.0, 10.0]])
    # Six nodes of mass: 0.41, 0.18 and 0.41 of the weight of each model.
    step = 1 + 0.98 * np.array([5**-0.5, 17**-0.5]) / scales
    nodes = np.stack([scales / step, scales, scales * step]) * [0.5, 0.8]
    order = np.argsort(nodes.ravel())
    reached = np.cumsum(np.outer([0.41, 0.18, 0.41], weight).ravel()[order])
    want = nodes.ravel()[order][[np.flatnonzero(reached >= p)[0] for p in (0.16, 0.5, 0.84)]]
    np.testing.assert_allclose(fit["log_mass"], np.log10([want]), rtol=1e-12)


def test_units_names_and_flags():
    fit = fitter().prepare(library_of(tiny())).fit(seds_of(np.array([[2.0, 3.0]]), np.ones((1, 2))))
    FIT.validate(fit)
    assert fit["log_mass"].attrs["units"] == "dex(Msun)"
    assert fit["log_sfr"].attrs["units"] == "dex(Msun / yr)"
    assert fit["log_age"].attrs["units"] == "dex(yr)"
    assert {"surviving", "sfr"}.isdisjoint(fit.variables)


def test_a_posterior_of_few_models_is_flagged():
    fit = fitter().prepare(library_of(tiny())).fit(seds_of(np.array([[2.0, 3.0]]), np.ones((1, 2))))
    assert fit["n_eff"].item() < 10
    assert fit["flags"].item() == Flag.FEW_MODELS
    models = library()
    flux, error = sed(models, snr=2.0)
    fit = fitter().prepare(library_of(models)).fit(seds_of(flux, error))
    assert fit["n_eff"].item() > 10
    assert fit["flags"].item() == 0


@BOTH
def test_contract(likelihood):
    check_fitter(RdspsFitter(FitConfig(likelihood=likelihood)), library_of(library()))


@BOTH
def test_against_every_model_weighed_by_hand(likelihood):
    models = library(n_model=400)
    flux, error = sed(models)
    flux = flux * np.array([1.1, 0.9, 1.05, 1.0, 0.93])
    fit = (
        fitter(likelihood=likelihood, dof=3.0, systematic_error=0.1)
        .prepare(library_of(models))
        .fit(seds_of(flux, error))
    )
    m, f = models["flux"].values.astype(float), flux[0]
    e = np.hypot(error[0], 0.1 * f)
    scale = np.sum(f * m / e**2, axis=1) / np.sum(m**2 / e**2, axis=1)
    density = norm(scale=e) if likelihood == "gaussian" else t(3.0, scale=e)
    ln_like = density.logpdf(f - scale[:, None] * m).sum(axis=1)
    weight = np.exp(ln_like - ln_like.max())
    err = np.sum(m**2 / e**2, axis=1) ** -0.5
    dof = math.inf if likelihood == "gaussian" else 3.0
    of_mass = ln_over_mass(f, e, m, scale, err, weight, dof=dof)
    # quadrature over mass is right to 3e-4
    assert fit["ln_evidence"].item() == pytest.approx(
        ln_like.max() + math.log(weight.mean()) + of_mass, abs=5e-4
    )
    # What is neglected is at most 1e-5 of the weight.
    assert fit["n_eff"].item() == pytest.approx(weight.sum() ** 2 / np.sum(weight**2), rel=3e-5)
    for name in ("log_age", "av"):
        values = models[name].values
        below = [weight[values <= q].sum() / weight.sum() for q in fit[name].values[0]]
        under = [weight[values < q].sum() / weight.sum() for q in fit[name].values[0]]
        assert np.all(np.array(below) >= np.array([0.16, 0.5, 0.84]) - 2e-5)
        assert np.all(np.array(under) <= np.array([0.16, 0.5, 0.84]) + 2e-5)


@settings(deadline=None, max_examples=30)
@given(st.floats(-8, 8), st.sampled_from(["gaussian", "student_t"]))
def test_scaling_the_fluxes_scales_mass_and_sfr_alone(log_factor, likelihood):
    models = library(n_model=100)
    prepared = fitter(likelihood=likelihood, systematic_error=0.05).prepare(library_of(models))
    flux, error = sed(models)
    one = prepared.fit(seds_of(flux, error))
    other = prepared.fit(seds_of(10**log_factor * flux, 10**log_factor * error))
    for name in ("log_mass", "log_sfr"):
        np.testing.assert_allclose(other[name] - log_factor, one[name], atol=1e-9)
    for name in ("log_age", "dust2", "logzsol"):
        np.testing.assert_array_equal(other[name], one[name])
    np.testing.assert_allclose(other["chi2"], one["chi2"], atol=1e-9)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_order_of_models_changes_nothing_beyond_rounding(seed):
    models = library(n_model=200)
    mixed = models.isel(model=np.random.default_rng(seed).permutation(200))
    flux, error = sed(models)
    one, other = (
        fitter().prepare(library_of(ds)).fit(seds_of(flux, error)) for ds in (models, mixed)
    )
    for name in one.data_vars:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-12)


def test_an_unusable_band_changes_nothing():
    pivot = np.append(PIVOT, 22000.0)
    models = library(pivot=pivot)
    flux, error = sed(models)
    flux[0, 5] = np.nan
    one = fitter().prepare(library_of(models)).fit(seds_of(flux, error))
    fewer = models.isel(band=slice(5))
    other = fitter().prepare(library_of(fewer)).fit(seds_of(flux[:, :5], error[:, :5]))
    for name in one.drop_vars("model_flux").data_vars:
        assert one[name].values.tobytes() == other[name].values.tobytes()
    assert np.isfinite(one["model_flux"].values[0, 5])  # the model says what was not seen


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 299), st.floats(0.3, 100))
def test_quantiles_are_in_order_and_within_the_models(number, snr):
    models = library()
    fit = fitter().prepare(library_of(models)).fit(seds_of(*sed(models, number, snr=snr)))
    for name in ("log_age", "log_tau", "logzsol", "dust2", "av", "log_mw_age"):
        got = fit[name].values[0]
        assert np.all(np.diff(got) >= 0)
        assert models[name].values.min() <= got[0]
        assert got[-1] <= models[name].values.max()
    mass = fit["log_mass"].values[0]
    assert np.all(np.diff(mass) >= 0)
    assert mass[-1] > mass[0]  # the amplitude is never known exactly


def test_negative_fluxes_give_no_posterior_and_a_flag():
    models = library()
    flux, error = sed(models)
    fit = fitter().prepare(library_of(models)).fit(seds_of(-flux, error))
    assert fit["flags"].item() == Flag.NOT_FITTED
    assert all(np.isnan(fit[name]).all() for name in fit.drop_vars(["flags", "n_used"]).data_vars)


def test_a_model_of_negative_amplitude_has_no_weight():
    models = tiny()
    models["flux"].values[0] = [-1.0, -1.0]
    fit = fitter().prepare(library_of(models)).fit(seds_of(np.array([[1.0, 1.2]]), np.ones((1, 2))))
    assert fit["n_eff"].item() == 1.0
    np.testing.assert_array_equal(fit["log_age"], [[10.0, 10.0, 10.0]])


def test_no_star_formation_counts_as_the_floor():
    flux, error = np.array([[1.0, 2.0]]), np.array([[1e-3, 1e-3]])  # model 1 alone, SFR 0
    fit = fitter().prepare(library_of(tiny())).fit(seds_of(flux, error))
    np.testing.assert_allclose(fit["log_sfr"], fit["log_mass"] - 14, rtol=1e-12)


def with_reported(models, name, values, reported_as):
    attrs = {"units": "", "long_name": name, "reported_as": reported_as}
    return models.assign({name: ("model", np.asarray(values, float), attrs)})


@pytest.mark.parametrize(
    ("name", "reported", "unit"),
    [
        ("formed", "log_mass_formed", "dex(Msun)"),
        ("sfr_10myr", "log_sfr_10myr", "dex(Msun / yr)"),
        ("dust_mass", "log_dustmass", "dex(Msun)"),
        ("dust_luminosity", "log_dust_luminosity", "dex(Lsun)"),
    ],
)
def test_quantities_per_mass_are_scaled_and_reported_under_their_names(name, reported, unit):
    models = library(n_model=100)
    # half of the surviving mass: log10 is that of the mass less 0.30103
    models = with_reported(models, name, 0.5 * models["surviving"].values, reported)
    fit = fitter().prepare(library_of(models)).fit(seds_of(*sed(models)))
    np.testing.assert_allclose(fit[reported], fit["log_mass"] - math.log10(2), rtol=1e-12)
    assert fit[reported].attrs["units"] == unit
    assert name not in fit.variables


def test_no_dust_counts_as_the_floor():
    models = with_reported(tiny(), "dust_mass", [1e-3, 0.0], "log_dustmass")
    flux, error = np.array([[1.0, 2.0]]), np.array([[1e-3, 1e-3]])  # model 1 alone
    fit = fitter().prepare(library_of(models)).fit(seds_of(flux, error))
    np.testing.assert_allclose(fit["log_dustmass"], fit["log_mass"] - 14, rtol=1e-12)


def test_redshift_is_reported_where_it_is_free():
    models = library()
    redshift = np.random.default_rng(4).uniform(0, 1, 300)
    models = models.assign(redshift=("model", redshift, {"units": "", "long_name": "redshift"}))
    fit = fitter().prepare(library_of(models)).fit(seds_of(*sed(models, snr=200.0)))
    # noiseless, so near the model itself; quantiles are those of a few models
    assert fit["redshift"].values[0, 1] == redshift[7]


def test_a_prior_of_mass_by_hand():
    # two models that fit equally well, of masses 10^0.5 and 10^1.5
    models = tiny(surviving=[math.sqrt(0.1), math.sqrt(0.1)])
    models["flux"].values[:] = [[1.0, 1.0], [0.1, 0.1]]
    prior = {
        "kind": "joint_with_mass",
        "log_mass": [0.5, 1.5],
        "mean": [9.5, 9.0],
        "sigma": [0.5, 1.0],
        "low": 5.0,
        "high": 14.0,
    }
    prepared = fitter().prepare(library_of(models.assign_attrs(priors={"log_age": prior})))
    flux, error = np.array([[10.0, 10.0]]), np.ones((1, 2))
    fit = prepared.fit(seds_of(flux, error))
    # ages 9 and 10 at one sigma each: densities are as 1 / 0.5 and 1 / 1.0; the cut of the
    # range leaves all but 3e-5 of either Gaussian
    share = np.array([2.0, 1.0]) / 3
    assert fit["n_eff"].item() == pytest.approx(1 / np.sum(share**2), rel=1e-3)
    without = fitter().prepare(library_of(models)).fit(seds_of(flux, error))
    assert without["n_eff"].item() == pytest.approx(2.0, rel=1e-12)
    ratio = math.log(np.mean(np.exp(-0.5) / (math.sqrt(2 * math.pi) * np.array([0.5, 1.0]))))
    got = fit["ln_evidence"].item() - without["ln_evidence"].item()
    assert got == pytest.approx(ratio, abs=1e-4)


def test_a_prior_of_mass_draws_the_posterior_towards_it():
    models = library(n_model=2000)
    flux, error = sed(models, snr=3.0)

    def metallicity(mean):
        values = {"log_mass": [8, 12], "mean": [mean] * 2, "sigma": [0.1] * 2}
        prior = {"kind": "joint_with_mass", "low": -1.5, "high": 0.3, **values}
        given = models.assign_attrs(priors={"logzsol": prior, "dust2": {"kind": "uniform"}})
        return fitter().prepare(library_of(given)).fit(seds_of(flux, error))["logzsol"].values[0]

    for mean in (-1.0, 0.0):
        low, median, high = metallicity(mean)
        # at this S/N the colours say less than a prior of 0.1 dex
        assert abs(median - mean) < 0.1
        assert high - low < 0.25


def test_the_amplitude_adds_its_own_error():
    # One model: sigma_s / s is 1 / snr / sqrt(n_band), and the outer nodes are at 0.98 sigma.
    models = library(n_model=1)
    fit = fitter().prepare(library_of(models)).fit(seds_of(*sed(models, 0, snr=100.0)))
    low, middle, high = fit["log_mass"].values[0]
    sigma = 1 / (100 * math.sqrt(5)) / math.log(10)
    assert high - middle == pytest.approx(0.98 * sigma, rel=0.01)  # ln(1 + r) = r
    assert middle - low == pytest.approx(high - middle, rel=1e-9)


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.3, 1.0, 3.0])
def test_nodes_give_the_width_of_a_gaussian_whatever_the_spread_of_models(ratio):
    # Models spread in mass by `ratio` sigma of the amplitude, all of one colour, so that all
    # weigh the same; 2001 of them, at equal steps of probability.
    spread = 1e-3 * ratio * norm.ppf((np.arange(2001) + 0.5) / 2001)
    models = library(n_model=2001, pivot=np.array([6200.0]))
    models["flux"].values[:] = 1.0
    models["surviving"].values[:] = 1 + spread
    fit = fitter().prepare(library_of(models)).fit(seds_of(np.ones((1, 1)), np.full((1, 1), 1e-3)))
    low, _, high = fit["log_mass"].values[0] * math.log(10)
    exact = norm.ppf(0.84) * 1e-3 * math.hypot(1, ratio)
    assert 0.5 * (high - low) == pytest.approx(exact, rel=0.03)  # 2.5 %, and steps of 1/2001


def test_the_amplitude_stays_positive_at_low_snr():
    models = library(n_model=50)
    flux, error = sed(models, snr=0.05)
    assert np.isfinite(
        fitter().prepare(library_of(models)).fit(seds_of(flux, error))["log_mass"]
    ).all()


def test_one_band():
    models = library(n_model=50, pivot=np.array([6200.0]))
    fit = fitter().prepare(library_of(models)).fit(seds_of(*sed(models)))
    # Every model fits one band perfectly, so the posterior is the prior.
    assert fit["n_eff"].item() == pytest.approx(50, rel=1e-9)
    assert fit["chi2"].item() == pytest.approx(0, abs=1e-20)


def test_no_sed_gives_an_empty_fit():
    fit = fitter().prepare(library_of(library())).fit(seds_of(np.empty((0, 5)), np.empty((0, 5))))
    assert FIT.validate(fit).sizes["bin"] == 0


def test_wrong_shapes_are_named():
    with pytest.raises(DataError, match="4 bands, the models 5"):
        fitter().prepare(library_of(library())).fit(seds_of(np.ones((3, 4)), np.ones((3, 4))))


def test_models_without_sfr_are_refused():
    with pytest.raises(SchemaError, match="sfr"):
        fitter().prepare(library_of(library().drop_vars("sfr")))


@pytest.mark.parametrize("name", ["log_age", "surviving", "flux"])
def test_models_that_are_not_finite_are_refused(name):
    models = library()
    models[name].values[3] = np.nan
    with pytest.raises(DataError, match=name):
        fitter().prepare(library_of(models))


def test_mass_that_does_not_survive_is_refused():
    with pytest.raises(DataError, match="surviving is 0"):
        fitter().prepare(library_of(tiny(surviving=[0.0, 1.0])))


@pytest.mark.statistical
@pytest.mark.parametrize("snr", [5.0, 20.0])
def test_intervals_cover_the_truth_as_often_as_they_say(snr):
    # Models linear in two parameters; the truth is drawn from the prior, so 68 % intervals
    # must hold it 68 % of the time. 500 draws have a standard deviation of 2.1 %: 62 to 74
    # is three of them.
    rng = np.random.default_rng(5)
    pivot = np.geomspace(2000, 20000, 6)

    def draw(n):
        a, b = rng.uniform(-1, 1, (2, n))
        shape = np.linspace(-1, 1, 6)
        return a, b, 1 + 0.6 * a[:, None] * shape + 0.3 * b[:, None] * (1 - 3 * shape**2)

    a, b, flux = draw(20_000)
    models = fake_models(pivot, n_model=20_000, rng=rng)
    models["flux"].values[:] = flux
    models["log_age"].values[:], models["logzsol"].values[:] = a, b
    models["surviving"].values[:] = 1.0
    a, b, truth = draw(500)
    error = np.full(truth.shape, 1 / snr)
    log_mass = rng.uniform(8, 11, 500)
    mass = 10 ** log_mass[:, None]
    seen = mass * (truth + error * rng.standard_normal(truth.shape))
    fit = fitter().prepare(library_of(models)).fit(seds_of(seen, mass * error))
    for name, true in (("log_age", a), ("logzsol", b), ("log_mass", log_mass)):
        low, _, high = fit[name].values.T
        covered = np.mean((low <= true) & (true <= high))
        assert 0.62 < covered < 0.74, f"{name}: {covered}"


@pytest.mark.parametrize("n_model", [3000, 20_000])  # model by model, and by classes of values
def test_samples_are_those_of_the_posterior(n_model):
    models = library(n_model=n_model)
    flux, error = sed(models, snr=2.0)
    fit = fitter(n_samples=20_000).prepare(library_of(models)).fit(seds_of(flux, error))
    # four deviations of a mean of 20,000; samples of mass have the amplitude's noise besides
    for name in ("log_age", "logzsol", "dust2", "log_mass", "log_sfr"):
        samples, std = fit[f"{name}_samples"].values[0], fit[f"{name}_std"].item()
        assert samples.mean() == pytest.approx(fit[f"{name}_mean"].item(), abs=0.03 * std)
        got = np.quantile(samples, (0.16, 0.5, 0.84))
        np.testing.assert_allclose(got, fit[name].values[0], atol=0.06 * std)


def test_samples_do_not_depend_on_company():
    models = library(n_model=500)
    flux, error = (np.repeat(each, 4, axis=0) for each in sed(models))
    prepared = fitter(n_samples=10).prepare(library_of(models))
    four = prepared.fit(seds_of(flux, error))["log_age_samples"].values
    one = prepared.fit(seds_of(flux[:1], error[:1]))["log_age_samples"].values
    np.testing.assert_array_equal(four[:1], one)
    assert not np.array_equal(four[0], four[1])


@pytest.mark.parametrize("factor", [1e20, 1e-20])
def test_flux_in_the_wrong_unit_is_flagged_and_named(factor, caplog):
    models = library()
    flux, error = sed(models)
    with caplog.at_level(logging.WARNING):
        fit = fitter().prepare(library_of(models)).fit(seds_of(factor * flux, factor * error))
    assert fit["flags"].item() & Flag.ODD_FLUX
    assert "('sed', 0)" in caplog.text
    assert "uJy" in caplog.text


@pytest.mark.parametrize("n_model", [3000, 20_000])
def test_a_posterior_at_the_end_of_a_prior_is_flagged(n_model):
    models = library(n_model=n_model)
    flux, error = sed(models, snr=2.0)

    def flags(low, high):
        prior = {"kind": "uniform", "low": low, "high": high}
        given = models.assign_attrs(priors={"dust2": prior})
        return fitter().prepare(library_of(given)).fit(seds_of(flux, error))["flags"].item()

    assert not flags(0.0, 2.0) & Flag.AT_EDGE
    # an end at the posterior's median, as if the library stopped there
    middle = fitter().prepare(library_of(models)).fit(seds_of(flux, error))["dust2"].values[0, 1]
    assert flags(0.0, middle) & Flag.AT_EDGE
    assert flags(middle, 2.0) & Flag.AT_EDGE


_MEMORY = """
import resource, sys
import numpy as np
from pxdask.core.config import FitConfig
from pxdask.fitting import RdspsFitter
from pxdask.testing import fake_models, library_of, seds_of
few = fake_models(np.geomspace(1500, 46000, 12), n_model=20_000, rng=np.random.default_rng(0))
# many at a time would leave behind memory that hides what comes
models = few.isel(model=np.tile(np.arange(20_000), 50))
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
flux = 1e9 * models["flux"].values[:32].astype(float)
error = flux / np.geomspace(1, 100, 32)[:, None]
seds = seds_of(flux, error)
fitter = RdspsFitter(FitConfig(max_memory=0.2))
fitter.prepare(library_of(few)).fit(seds)
before = peak()
fitter.prepare(library_of(models)).fit(seds)
print(before, peak())
"""


@pytest.mark.slow
def test_memory_is_bounded():
    run = subprocess.run(
        [sys.executable, "-c", _MEMORY], check=True, capture_output=True, text=True
    )
    before, peak = map(float, run.stdout.split())
    # of a million models: tables of 2 bytes per parameter and 4 per scaled quantity (24 MB), one
    # SED's search and weights (16 MB), and candidates; all of them in double precision, in 12
    # bands, with copies of the parameters, would be 300 MB
    assert peak - before < 0.2
