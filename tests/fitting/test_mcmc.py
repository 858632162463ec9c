import logging

import numpy as np
import pytest
from scipy.special import ndtr

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag
from pxdask.core.models import ModelConfig
from pxdask.core.schema import FIT
from pxdask.fitting.mcmc import McmcFitter, of_chains, seds_together
from pxdask.fitting.seds import Seds
from pxdask.fitting.stage import deciding_settings, fitter_of, join_blocks
from pxdask.fitting.target import HALF_RANGE, Sampled
from pxdask.kernels.chain_spread import split_rhat
from pxdask.sps.libraries import make_library
from pxdask.testing import check_fitter, digest, seds_of
from tests.fitting.small import FIXED, filters, fit_settings, populations, small_library

QUICK = {"n_walkers": 40, "max_steps": 600, "check_every": 100, "adapt_steps": 300}


def settings(mcmc=None, **changed):
    return fit_settings(**{"method": "mcmc", "mcmc": {**QUICK, **(mcmc or {})}, **changed})


def seds(library, n_sed=3, *, mass=1e9, snr=20.0):
    flux = mass * library.draw()["flux"].values[:n_sed].astype(float)
    return flux, np.abs(flux) / snr


@pytest.mark.slow
def test_contract():
    fit = check_fitter(McmcFitter(settings(n_samples=5)), small_library())
    assert fit.attrs["method"] == "mcmc"
    assert np.all((fit["acceptance"] > 0.1) & (fit["acceptance"] < 0.8))
    assert np.all(fit["n_steps"] <= 600)
    assert np.all(np.isnan(fit["ln_evidence"]))
    assert fit["log_age_samples"].sizes["sample"] == 5
    assert {"log_mass", "log_sfr", "log_age", "logzsol", "dust2", "log_mw_age", "av"} <= set(fit)


def test_a_chain_that_converges_stops_and_one_at_the_cap_is_flagged():
    library = small_library()
    flux, error = seds(library)
    easy = settings({"max_steps": 3000, "min_taus": 20.0, "max_rhat": 1.1})
    fit = fitter_of(easy).prepare(library).fit(seds_of(flux, error))
    assert np.all(fit["n_steps"] < 3000)
    assert not np.any(fit["flags"].values & int(Flag.NOT_CONVERGED))
    assert np.all(fit["rhat"] <= 1.1)
    # n_eff is of the counted steps: no more than all of them would give
    n_counted = fit["n_steps"] - 300
    assert np.all(fit["n_eff"] >= 20 * 40)
    assert np.all(fit["n_eff"] <= 40 * n_counted / fit["tau"])
    hard = settings({"max_steps": 200})
    fit = fitter_of(hard).prepare(library).fit(seds_of(flux, error))
    assert np.all(fit["n_steps"] == 200)
    assert np.all(fit["flags"].values & int(Flag.NOT_CONVERGED))


def test_which_steps_chains_keep():
    # of two walkers and steps 3, 2, 1, 0: those of the first walker in order, then the second's
    assert of_chains(4, 2, n_draw=4).tolist() == [6, 4, 2, 0, 7, 5, 3, 1]
    assert of_chains(4, 2, n_draw=2).tolist() == [6, 0, 7, 1]
    assert of_chains(2, 1, n_draw=4).tolist() == [1, 1, 0, 0]


def test_samples_are_chains_where_they_are_kept():
    library = small_library()
    flux, error = seds(library)
    flux[1] = np.nan
    quick = {"max_steps": 1000, "min_taus": 20.0, "max_rhat": 1.1}
    chosen = settings({**quick, "keep_chains": True}, n_samples=40 * 25)
    fit = fitter_of(chosen).prepare(library).fit(seds_of(flux, error))
    assert fit.attrs["n_chain"] == 40
    assert np.all(np.isnan(fit["log_age_samples"].values[1]))
    names = ("log_age", "logzsol", "dust2")
    chains = np.stack([fit[f"{n}_samples"].values.reshape(3, 40, 25) for n in names], axis=-1)
    pooled = fitter_of(settings(quick, n_samples=1000)).prepare(library).fit(seds_of(flux, error))
    assert "n_chain" not in pooled.attrs
    for k in (0, 2):
        # 25 steps of 40 walkers: 1 + tau / 25 at most, if they mix; the fit's own was below 1.1
        assert np.all(split_rhat(chains[k].swapaxes(0, 1)) < 1.2)
        for i, name in enumerate(names):
            # the same steps of the same chain, but for how finely they are thinned
            wanted = pooled[f"{name}_mean"].values[k]
            spread = pooled[f"{name}_std"].values[k]
            assert chains[k, ..., i].mean() == pytest.approx(wanted, abs=0.15 * spread)
            assert chains[k, ..., i].std() == pytest.approx(spread, rel=0.15)
    # what pools its samples has no chains to compare, and says nothing of them
    mixed = np.stack([pooled[f"{n}_samples"].values.reshape(3, 40, 25) for n in names], axis=-1)
    steps = [np.abs(np.diff(found[0], axis=1)).mean() for found in (chains, mixed)]
    assert steps[0] < steps[1]


def test_chains_that_cannot_be_kept():
    with pytest.raises(ValueError, match=r"n_samples is 50; mcmc\.keep_chains wants a multiple"):
        settings({"keep_chains": True}, n_samples=50)
    with pytest.raises(ValueError, match="n_samples is 0; "):
        settings({"keep_chains": True})
    with pytest.raises(ValueError, match="goes with method mcmc, not rdsps"):
        fit_settings(method="rdsps", n_samples=100, mcmc={"keep_chains": True})


def test_keys_are_those_of_before_unless_chains_are_kept():
    def deciding(**mcmc):
        return deciding_settings(settings(mcmc, n_samples=80))

    assert "keep_chains" not in deciding()["mcmc"]
    assert deciding(keep_chains=True) == {
        **deciding(), "mcmc": {**deciding()["mcmc"], "keep_chains": True}
    }  # fmt: skip


def test_stretch_moves_alone():
    library = small_library()
    flux, error = seds(library, 1)
    alone = settings({"n_components": 0, "max_steps": 300})
    fit = fitter_of(alone).prepare(library).fit(seds_of(flux, error))
    assert fit["chi2"].item() < 0.5
    assert fit["acceptance"].item() > 0.2


def test_results_do_not_depend_on_the_memory_allowed():
    library = small_library()
    flux, error = seds(library)
    fits = []
    for memory in (2.0, 1e-9):
        chosen = settings({"max_steps": 200}, max_memory=memory)
        fits.append(digest(fitter_of(chosen).prepare(library).fit(seds_of(flux, error))))
    assert seds_together(chosen, 4) == 1
    assert fits[0] == fits[1]


def test_what_cannot_be_fitted():
    library = small_library()
    flux, error = seds(library, 4)
    flux[0] = np.nan
    error[1] = [0, -1, np.nan, np.inf, 0]
    flux[2] = -np.abs(flux[2])
    fit = fitter_of(settings(n_samples=3)).prepare(library).fit(seds_of(flux, error))
    FIT.validate(fit)
    np.testing.assert_array_equal(fit["flags"].values[:3], int(Flag.NOT_FITTED))
    np.testing.assert_array_equal(fit["n_used"], [0, 0, 5, 5])
    assert np.all(np.isnan(fit["log_mass"][:3]))
    assert np.isfinite(fit["log_mass"][3]).all()
    np.testing.assert_array_equal(fit["n_steps"].values[:3], -1)


def test_a_block_without_an_sed_to_fit_joins_others():
    library = small_library()
    flux, error = seds(library, 2)
    flux[1] = np.nan
    some = seds_of(flux, error)
    prepared = fitter_of(settings({"max_steps": 100})).prepare(library)
    blocks = [
        prepared.fit(some.rows(i, i + 1)).assign_attrs(bin_start=i, bin_stop=i + 1) for i in (0, 1)
    ]
    joined = join_blocks(blocks)
    assert digest(joined) == digest(prepared.fit(some).assign_attrs(bin_start=0, bin_stop=2))
    np.testing.assert_array_equal(joined["n_steps"], [100, -1])
    np.testing.assert_array_equal(np.isfinite(joined["acceptance"]), [True, False])


def test_a_flux_in_the_wrong_unit_is_flagged_and_told(caplog):
    library = small_library()
    flux, error = seds(library, 1, mass=1e29)
    with caplog.at_level(logging.WARNING):
        fit = fitter_of(settings({"max_steps": 200})).prepare(library).fit(seds_of(flux, error))
    assert fit["flags"].item() & int(Flag.ODD_FLUX)
    assert "('sed', 0)" in caplog.text
    assert "uJy" in caplog.text


def test_one_band_leaves_the_priors():
    library = small_library()
    flux, error = seds(library, 1)
    flux[0, [0, 1, 3, 4]] = np.nan
    fit = fitter_of(settings({"max_steps": 1200})).prepare(library).fit(seds_of(flux, error))
    # the metallicity's prior is uniform; colours tell nothing: 0.16 and 0.84 of it, to the
    # error of some hundred effective samples
    prior = Sampled(settings(), library).simulator.priors["logzsol"]
    low, high = prior.low, prior.high
    want = low + np.array([0.16, 0.5, 0.84]) * (high - low)
    np.testing.assert_allclose(fit["logzsol"].values[0], want, atol=0.12 * (high - low))


def test_other_bands_are_refused():
    library = small_library()
    flux, error = seds(library)
    with pytest.raises(DataError, match="4 bands, the models 5"):
        fitter_of(settings()).prepare(library).fit(seds_of(flux[:, :4], error[:, :4]))


def test_an_upper_limit_bounds_the_amplitude():
    library = small_library()
    flux, error = seds(library, 1)
    flux = np.repeat(flux, 2, axis=0)
    error = np.repeat(error, 2, axis=0)
    limit = np.zeros(flux.shape, bool)
    limit[1, 4] = True
    flux[1, 4] *= 0.5
    error[1, 4] *= 0.1
    both = Seds(flux, error, (("a",), ("b",)), upper_limit=limit)
    fit = fitter_of(settings({"max_steps": 1000})).prepare(library).fit(both)
    np.testing.assert_array_equal(fit["n_used"], 5)
    # the model must stay near or below the limit, 0.5 of what the first SED has
    assert fit["model_flux"].values[1, 4] < 0.52 * fit["model_flux"].values[0, 4]


def test_density_is_likelihood_over_the_cube():
    library = small_library()
    flux, error = seds(library, 2)
    sampled = Sampled(settings(), library)
    target = sampled.target(seds_of(flux, error))
    rng = np.random.default_rng(0)
    cube = ndtr(0.1 * rng.standard_normal((6, sampled.n_dim)))
    sed = np.array([0, 1, 0, 1, 1, 0])
    models = sampled.simulator.simulate(cube[:, :-1])
    scale = target.best_scale[sed] * 10 ** (HALF_RANGE * (2 * cube[:, -1] - 1))
    chi = (flux[sed] - scale[:, None] * models.flux) / error[sed]
    want = -0.5 * np.sum(chi**2 + np.log(2 * np.pi * error[sed] ** 2), axis=1)
    np.testing.assert_allclose(target(cube, sed), want, rtol=1e-9)
    np.testing.assert_array_equal(target(cube[2:3], sed[2:3]), target(cube, sed)[2:3])


def test_walkers_start_inside_and_near_the_data():
    library = small_library()
    flux, error = seds(library, 1)
    sampled = Sampled(settings(), library)
    target = sampled.target(seds_of(flux, error))
    cube = target.start(0, 40, np.random.default_rng(0))
    assert cube.shape == (40, sampled.n_dim)
    assert np.all((cube > 0) & (cube < 1))
    assert len(np.unique(cube[:, 0])) == 40
    anywhere = target(np.random.default_rng(1).random((200, 4)), np.zeros(200, int))
    # drawn by likelihood: the median walker is above 90 of 100 points of the prior
    assert np.median(target(cube, np.zeros(40, int))) > np.quantile(anywhere, 0.9)


@pytest.mark.slow
def test_free_redshift_is_a_parameter_like_others():
    settings_of_models = ModelConfig(
        n_models=8, sfh="tau", priors={**FIXED, "redshift": {"low": 0.05, "high": 0.15}}
    )
    library = make_library(
        populations(), filters(), settings=settings_of_models, redshift=None, seed=1
    )
    flux, error = seds(library, 2, snr=50.0)
    chosen = settings({"max_steps": 400, "adapt_steps": 200})
    fit = fitter_of(chosen).prepare(library).fit(seds_of(flux, error))
    truth = library.draw()["redshift"].values[:2]
    apart = np.abs(fit["redshift_mean"] - truth)
    assert np.all(apart < 4 * fit["redshift_std"])
    assert np.all((fit["redshift"] >= 0.05) & (fit["redshift"] <= 0.15))
    assert np.all(fit["chi2"] < 1)


def test_a_prior_that_depends_on_mass_is_heeded():
    joint = {"kind": "joint_with_mass", "log_mass": [6, 12], "mean": [-1, -1], "sigma": [0.1, 0.1]}
    library = small_library(logzsol=joint)
    flux, error = seds(library, 2, snr=3.0)
    fit = fitter_of(settings()).prepare(library).fit(seds_of(flux, error))
    # the data say little: the prior's mean and width, to the error of some 100 samples
    assert np.all(np.abs(fit["logzsol_mean"] + 1) < 0.06)
    np.testing.assert_allclose(fit["logzsol_std"], 0.1, atol=0.03)
