"""What a posterior is asked for: tables, samples, model SEDs, histories."""

import builtins
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from astropy.units import Unit

from pxdask.core.bandpass import Filter
from pxdask.core.cosmology import age_of_universe
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag
from pxdask.core.models import ModelConfig
from pxdask.core.schema import FIT
from pxdask.fitting.draws import on_grid
from pxdask.fitting.posterior import FittedSeds
from pxdask.fitting.results import SedPosterior, fit_dataset, nothing
from pxdask.fitting.seds import Seds
from pxdask.fitting.tables import NUMBERS, flag_words, gather
from pxdask.io.sed_tables import seds_dataset
from pxdask.sps import PhotometryEngine, SpectrumEngine, synthetic_ssp
from pxdask.sps.derived import derived_attrs
from pxdask.sps.libraries import make_library
from pxdask.sps.model_set import band_coords

BANDS = tuple(
    Filter(name, wave * np.array([0.9, 0.95, 1.05, 1.1]), np.array([0.0, 1.0, 1.0, 0.0]))
    for name, wave in {"u": 3600.0, "r": 6200.0, "k": 22000.0}.items()
)
REDSHIFT = 0.1
N_DRAW = 30
TRUTH = {"log_age": 0.6, "log_tau": 0.2, "logzsol": -0.3, "dust2": 0.5}


@pytest.fixture(scope="module")
def ssp():
    return synthetic_ssp(n_wave=800)


def settings(**changes):
    return ModelConfig(ssp="synthetic", n_models=64, **changes)


def fitted(ssp, *, config=None, truth=TRUTH, log_mass=10.0, spread=0.0, samples=True, **extra):
    """Return posteriors of two SEDs, the second without data, whose samples are near a truth."""
    config = config or settings()
    rng = np.random.default_rng(3)
    values = {"log_mass": log_mass, "log_sfr": 0.5, **truth, **extra}
    drawn = np.array([v + spread * rng.normal(size=N_DRAW) for v in values.values()])
    one = SedPosterior(
        quantiles=np.quantile(drawn, [0.16, 0.5, 0.84], axis=1).T,
        mean=drawn.mean(axis=1),
        std=drawn.std(axis=1),
        model_flux=np.ones(3),
        chi2=1.5,
        n_used=3,
        n_eff=20.0,
        ln_evidence=-3.0,
        flags=int(Flag.FEW_MODELS | Flag.AT_EDGE),
        samples=drawn if samples else None,
    )
    seds = Seds(np.ones((2, 3)), np.ones((2, 3)), (("a", "fit"), ("b", "fit")))
    attrs = {
        "log_mass": {"units": "dex(Msun)", "long_name": "mass"},
        "log_sfr": {"units": "dex(Msun / yr)", "long_name": "SFR"},
        **{name: derived_attrs(name) for name in values if name not in ("log_mass", "log_sfr")},
    }
    bands = xr.Dataset(coords=band_coords(BANDS))
    empty = nothing(len(values), 3, n_sample=N_DRAW if samples else 0)
    return FittedSeds(
        fit=fit_dataset([one, empty], results=attrs, bands=bands, seds=seds, attrs={}),
        seds=seds_dataset(
            ["a", "b"],
            bands=[band.name for band in BANDS],
            pivot_wave=bands["pivot_wave"].values,
            flux=seds.flux,
            flux_err=seds.flux_err,
            redshift=np.full(2, REDSHIFT),
        ),
        model_library=lambda z: make_library(ssp, BANDS, settings=config, redshift=z, seed=1),
        free_redshift="redshift" in extra,
    )


def one_row(values):
    return {name: np.array([value]) for name, value in values.items()}


def test_summary_has_units_and_words(ssp):
    table = fitted(ssp).summary()
    assert list(table["id"]) == ["a", "b"]
    assert table["log_mass_p50"].unit == Unit("dex(Msun)")
    assert table["log_mass_std"].unit == Unit("dex")
    assert table["log_sfr_mean"].unit == Unit("dex(Msun / yr)")
    assert list(table["flags"]) == ["few_models at_edge", "not_fitted"]
    assert table["log_mass_p50"][0].value == pytest.approx(10.0)
    assert np.isnan(table["log_mass_p16"][1].value)
    assert list(table.columns)[:3] == ["id", "redshift", "log_mass_p16"]
    for name in ("chi2", "n_used", "n_eff", "ln_evidence", "dust2_p84"):
        assert name in table.colnames


def test_what_a_network_tells_of_itself_is_in_the_table(ssp):
    posterior = fitted(ssp)
    told = ("efficiency", "predictive_p", "outlier_score", "redshift_ratio")
    extra = {n: ("bin", np.array([k + 0.5, np.nan]), FIT.attrs(n)) for k, n in enumerate(told)}
    table = replace(posterior, fit=posterior.fit.assign(extra)).summary()
    for k, name in enumerate(told):
        assert table[name][0] == k + 0.5
        assert np.isnan(table[name][1])
        assert table[name].info.description == FIT.variables[name].long_name
        assert name not in posterior.summary().colnames


def test_every_number_of_an_sed_is_in_the_table():
    alone = {n for n, var in FIT.variables.items() if var.dims == ("bin",)} - {"flags"}
    assert set(NUMBERS) == alone


def test_photometry_of_samples_is_that_of_the_engine(ssp):
    posterior = fitted(ssp)
    sed = posterior.model_sed("a")
    engine = PhotometryEngine(ssp, BANDS, redshift=REDSHIFT, settings=settings())
    formed = 1e10 / engine.derived(one_row(TRUTH))["surviving"][0]
    wanted = formed * engine.flux(one_row(TRUTH))[0]
    # samples are float32: 1e-7 of a parameter of order one, in mass ln(10) times as much of ten
    np.testing.assert_allclose(sed.flux.to_value("uJy"), [wanted] * 3, rtol=1e-5)
    assert sed.bands == ("u", "r", "k")
    np.testing.assert_allclose(sed.pivot_wave.to_value("Angstrom"), posterior.seds["pivot_wave"])
    spectra = SpectrumEngine(ssp, settings=settings(), redshift=REDSHIFT, frame="observed")
    spectrum = formed * spectra.spectrum(one_row(TRUTH))[0].astype(float)
    np.testing.assert_allclose(sed.spectrum[1].value, spectrum, rtol=1e-5)
    assert sed.wave.size == spectrum.size
    assert sed.spectrum.unit == Unit("erg / (s cm2 Angstrom)")


def test_quantiles_of_models_are_in_order(ssp):
    sed = fitted(ssp, spread=0.05).model_sed(0, quantiles=(0.1, 0.5, 0.9))
    assert np.all(np.diff(sed.flux.value, axis=0) > 0)
    assert np.all(np.diff(sed.spectrum.value, axis=0) >= 0)


def test_free_redshift_gives_the_sed_where_the_samples_are(ssp):
    config = settings(priors={"redshift": {"low": 0.05, "high": 0.5}})
    free = fitted(ssp, config=config, redshift=0.3)
    sed = free.model_sed("a")
    engine = PhotometryEngine(ssp, BANDS, redshift=0.3, settings=settings())
    formed = 1e10 / engine.derived(one_row(TRUTH))["surviving"][0]
    np.testing.assert_allclose(
        sed.flux[1].value, formed * engine.flux(one_row(TRUTH))[0], rtol=1e-5
    )
    assert "redshift" not in free.summary().colnames
    assert "redshift_p50" in free.summary().colnames


def test_spectra_of_different_redshifts_share_a_grid(ssp):
    config = settings(priors={"redshift": {"low": 0.05, "high": 0.9}})
    free = fitted(ssp, config=config, redshift=0.4, spread=0.01)
    sed = free.model_sed("a", n_draw=9)
    wave = sed.wave.to_value("Angstrom")
    assert np.all(np.isfinite(sed.spectrum.value))
    r = (wave > 5600) & (wave < 6800)
    # the mean of the spectrum in the band is the photometry, to the spread of the samples
    flam = np.mean(sed.spectrum[1].value[r])
    per_angstrom = sed.flux[1, 1].value * 1e-29 * 2.998e18 / 6200.0**2
    assert flam == pytest.approx(per_angstrom, rel=0.1)


@pytest.mark.parametrize("form", ["delayed_tau", "tau", "continuity"])
def test_histories_form_the_mass(ssp, form):
    truth = {"logzsol": -0.3, "dust2": 0.5}
    if form == "continuity":
        truth |= {f"logsfr_ratio_{i}": 0.1 * i for i in range(1, 7)}
    else:
        truth |= {"log_age": 0.6, "log_tau": 0.2}
    config = settings(sfh=form)
    posterior = fitted(ssp, config=config, truth=truth)
    history = posterior.sfh("a", n_time=40)
    engine = PhotometryEngine(ssp, BANDS, redshift=REDSHIFT, settings=config)
    formed = 1e10 / engine.derived(one_row(truth))["surviving"][0]
    made = np.sum(history.rate[1] * np.diff(history.edges)).to_value("Msun")
    assert made == pytest.approx(formed, rel=1e-5)  # samples are float32
    universe = age_of_universe(config, redshift=REDSHIFT)
    assert history.edges[-1].to_value("Gyr") == pytest.approx(universe)
    assert history.edges[0].value == 0
    # the mean rate of the last 0.1 Gyr is what the models report as their SFR
    recent = history.edges[1:].value <= 0.1
    mass = np.sum((history.rate[1] * np.diff(history.edges))[recent]).to_value("Msun")
    span = history.edges[1:][recent][-1].to_value("yr")
    sfr = formed * engine.derived(one_row(truth))["sfr"][0]
    assert mass / span == pytest.approx(sfr, rel=0.05)  # the last edge is not just 0.1 Gyr


def test_a_galaxy_does_not_form_stars_before_it_began(ssp):
    history = fitted(ssp).sfh("a", n_time=30)
    before = history.edges[:-1].to_value("Gyr") > 10**0.6
    assert before.any()
    assert np.all(history.rate[:, before].value == 0)


def test_samples(ssp):
    posterior = fitted(ssp, spread=0.1)
    kept = posterior.sample()
    assert dict(kept.sizes) == {"bin": 2, "sample": N_DRAW}
    assert kept["log_mass"].attrs["units"] == "dex(Msun)"
    some, more = posterior.sample(7), posterior.sample(100)
    assert some.sizes["sample"] == 7
    assert more.sizes["sample"] == 100
    assert some.identical(posterior.sample(7))
    assert np.isin(some["dust2"].values[0], kept["dust2"].values[0]).all()
    assert np.unique(some["dust2"].values[0]).size == 7
    # numbers of one sample stay together
    k = [int(np.flatnonzero(kept["dust2"].values[0] == v)[0]) for v in some["dust2"].values[0]]
    np.testing.assert_array_equal(some["log_mass"].values[0], kept["log_mass"].values[0][k])


def test_without_samples_it_says_how_to_have_some(ssp):
    posterior = fitted(ssp, samples=False)
    for ask in (posterior.sample, posterior.model_sed, posterior.sfh, posterior.to_arviz):
        with pytest.raises(ConfigError, match="n_samples"):
            ask()
    assert "log_mass_p50" in posterior.summary().colnames


def test_an_sed_without_posterior_or_that_is_not_there(ssp):
    posterior = fitted(ssp)
    with pytest.raises(DataError, match="'b' has no posterior: not_fitted"):
        posterior.model_sed("b")
    with pytest.raises(DataError, match="'b' has no posterior"):
        posterior.sfh(-1)
    with pytest.raises(ConfigError, match="no SED 'c'"):
        posterior.model_sed("c")
    with pytest.raises(ConfigError, match="no SED number 2"):
        posterior.model_sed(2)


def test_arviz(ssp):
    az = pytest.importorskip("arviz", exc_type=ImportError)
    data = fitted(ssp, spread=0.1).to_arviz()
    assert data.posterior.sizes["chain"] == 1
    assert data.posterior.sizes["draw"] == N_DRAW
    assert data.posterior["log_mass"].dims == ("chain", "draw", "sed")
    assert list(data.posterior["id"].values) == ["a", "b"]
    assert data.observed_data["flux"].dims == ("sed", "band")
    found = az.summary(data.posterior.isel(sed=0), var_names=["log_mass"])
    assert found["mean"].iloc[0] == pytest.approx(10.0, abs=0.1)  # of 30 samples of width 0.1


def test_chains_of_arviz_are_the_walkers(ssp):
    az = pytest.importorskip("arviz", exc_type=ImportError)
    posterior = fitted(ssp, spread=0.1)
    data = replace(posterior, fit=posterior.fit.assign_attrs(n_chain=3)).to_arviz()
    assert data.posterior.sizes["chain"] == 3
    assert data.posterior["log_mass"].dims == ("chain", "draw", "sed")
    kept = posterior.sample()["log_mass"].values[0]
    np.testing.assert_array_equal(data.posterior["log_mass"].values[1, :, 0], kept[10:20])
    assert data.posterior["log_mass"].attrs["units"] == "dex(Msun)"
    assert np.isfinite(az.rhat(data.posterior.isel(sed=0))["log_mass"])


def test_without_arviz_one_line_says_what_to_do(ssp, monkeypatch):
    true_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "arviz":
            raise ImportError(name)
        return true_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r'pip install "pxdask\[arviz\]"'):
        fitted(ssp).to_arviz()


def test_rows_and_dataset(ssp):
    posterior = fitted(ssp)
    assert posterior.rows([1]).ids == ("b",)
    assert repr(posterior) == "<FittedSeds: 1 of 2 SEDs fitted, 6 results>"
    ds = posterior.to_dataset()
    assert list(ds["id"].values) == ["a", "b"]
    FIT.validate(ds.drop_vars("id"))
    with pytest.raises(DataError, match="2 posteriors of 1 SEDs"):
        FittedSeds(posterior.fit, posterior.seds.isel(bin=[0]), posterior.model_library)


def test_draws_are_the_same_each_time_and_of_one_model(ssp):
    posterior = fitted(ssp, spread=0.05)
    kept = posterior.sample().isel(bin=0)
    every = posterior.draws("a", n_draw=N_DRAW)
    assert set(every) == set(posterior.results)
    np.testing.assert_array_equal(every["dust2"], kept["dust2"].values)
    some = posterior.draws(0, n_draw=7)
    np.testing.assert_array_equal(some["dust2"], posterior.draws(-2, n_draw=7)["dust2"])
    places = np.searchsorted(np.sort(every["dust2"]), some["dust2"])
    rows = np.argsort(every["dust2"])[places]
    for name, values in some.items():
        assert values.dtype == np.float64
        np.testing.assert_array_equal(values, every[name][rows])
    with pytest.raises(DataError, match="'b' has no posterior: not_fitted"):
        posterior.draws(1, n_draw=7)
    assert posterior.models_of("b").redshift == REDSHIFT
    free = fitted(
        ssp, config=settings(priors={"redshift": {"low": 0.05, "high": 0.2}}), redshift=0.1
    )
    assert free.models_of().redshift is None


def test_spectra_between_wavelengths():
    spectra, wave = np.array([[1.0, 3.0], [0.0, -2.0]]), np.array([10.0, 20.0])
    assert on_grid(spectra, wave, grid=wave.copy()) is spectra
    found = on_grid(spectra, wave, grid=np.array([5.0, 15.0, 20.0, 30.0]))
    np.testing.assert_array_equal(found, [[1.0, 2.0, 3.0, 3.0], [0.0, -1.0, -2.0, -2.0]])


def test_gather_puts_rows_where_they_belong(ssp):
    fit = fitted(ssp).fit
    with_tau = fit.isel(bin=[0]).assign(tau=("bin", [40.0], FIT.attrs("tau")))
    with_steps = with_tau.assign(n_steps=("bin", np.array([9], np.int32), FIT.attrs("n_steps")))
    whole = gather({(3,): with_steps, (1,): fit.isel(bin=[0])}, n_sed=4)
    assert whole.sizes["bin"] == 4
    np.testing.assert_array_equal(np.isfinite(whole["log_mass"][:, 1]), [0, 1, 0, 1])
    np.testing.assert_array_equal(whole["n_steps"], [-1, -1, -1, 9])
    np.testing.assert_array_equal(np.isfinite(whole["tau"]), [0, 0, 0, 1])
    assert [flag_words(bits) for bits in whole["flags"].values[:2]] == [
        "not_fitted",
        "few_models at_edge",
    ]
    np.testing.assert_array_equal(whole["n_used"], [0, 3, 0, 3])
    with pytest.raises(DataError, match="at least one"):
        gather({}, n_sed=3)
