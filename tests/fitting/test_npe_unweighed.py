"""What the likelihood knows and a network does not counts where draws are not weighed, too."""

from dataclasses import replace

import numpy as np
import pytest

from pxdask.core.errors import ConfigError
from pxdask.fitting.npe import NpeFitter
from pxdask.fitting.seds import Seds
from pxdask.npe.agreement import unweighed_fault
from pxdask.npe.mocks import make_mocks
from pxdask.npe.noise import broad_noise
from tests.npe.small import BANDS, fit_settings, library, network

JOINT = {"kind": "joint_with_mass", "log_mass": [6, 12], "mean": [-1, -1], "sigma": [0.1, 0.1]}
MANY = {"hand_over": "none", "n_draws": 2000, "max_rounds": 2, "min_efficiency": 0.0}


def prepared(own, **npe):
    made = replace(library(redshift=0.15, n_models=512), network=own.to_dataset)
    return NpeFitter(fit_settings(**{**MANY, **npe})).prepare(made)


def five():
    """Return SEDs of which the second and fourth have an upper limit, far below the flux."""
    settings = fit_settings()
    made = make_mocks(library(redshift=0.15), broad_noise(BANDS), n=400, seed=3, settings=settings)
    bright = np.flatnonzero(np.nanmin(np.nan_to_num(made.flux / made.error), axis=1) > 5)[:5]
    flux, error = made.flux[bright], 0.1 * made.flux[bright]
    limit = np.zeros(flux.shape, np.bool_)
    limit[[1, 3], 4] = True
    flux[[1, 3], 4] *= 0.2
    error[[1, 3], 4] *= 0.2
    keys = tuple((f"s{k}",) for k in range(5))
    return Seds(flux, error, keys, upper_limit=limit)


def test_seds_with_upper_limits_are_weighed_all_the_same():
    own, seds = network(), five()
    plain = prepared(own, reweight=False).fit(seds)
    weighed = prepared(own, reweight=True).fit(seds)
    limited = np.array([False, True, False, True, False])
    for name in ("log_mass", "dust2_mean", "model_flux", "n_eff", "ln_evidence", "efficiency"):
        np.testing.assert_array_equal(plain[name][limited], weighed[name][limited], err_msg=name)
        assert np.isfinite(plain[name][limited]).all(), name
    np.testing.assert_array_equal(plain["n_eff"][~limited], 2000)
    assert np.isnan(plain["ln_evidence"][~limited]).all()
    # ten deviations of the limit, a tenth of it each; without the limit it is four times over
    over = plain["model_flux"].values[limited, 4] / seds.flux[limited, 4]
    assert np.all(over < 2)
    # nothing else of the SEDs without depends on it
    alone = prepared(own, reweight=False).fit(seds.chosen(np.array([0, 2, 4])))
    np.testing.assert_array_equal(alone["log_mass"], plain["log_mass"][~limited])


def test_limits_made_of_faint_fluxes_are_limits():
    own, seds = network(), five()
    seds = replace(
        seds, upper_limit=None, flux_err=np.where(seds.upper_limit, seds.flux, seds.flux_err)
    )
    settings = fit_settings(**MANY, reweight=False).model_copy(update={"limits_below": 2.0})
    made = replace(library(redshift=0.15, n_models=512), network=own.to_dataset)
    fit = NpeFitter(settings).prepare(made).fit(seds)
    limited = np.isfinite(fit["ln_evidence"].values)
    assert limited.tolist() == [False, True, False, True, False]


def test_priors_of_mass_are_refused_without_weights():
    made = library(redshift=0.15, n_models=512, priors={"logzsol": JOINT})
    own = replace(network(), models=library(priors={"logzsol": JOINT}).settings)
    made = replace(made, network=own.to_dataset)
    with pytest.raises(
        ConfigError, match=r"fit\.npe\.reweight is false, and models\.priors of logzsol joint_with"
    ):
        NpeFitter(fit_settings(reweight=False)).prepare(made)
    NpeFitter(fit_settings(reweight=True)).prepare(made)
    assert not unweighed_fault(library().settings, fit_settings(reweight=False))
