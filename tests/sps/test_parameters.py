"""The registry, and what is free in a run."""

import pytest
from astropy.units import Unit
from matplotlib.mathtext import MathTextParser

from pxdask.core.cosmology import age_of_universe, kpc_per_arcsec, luminosity_distance
from pxdask.core.errors import ConfigError
from pxdask.core.models import FixedPrior, ModelConfig, StudentTPrior, TablePrior, UniformPrior
from pxdask.sps.parameters import (
    PARAMETERS,
    default_prior,
    fixed_parameters,
    free_parameters,
    model_parameters,
    parameter,
    prior_configs,
)

NUMBERED = ("logsfr_ratio_3", "sfr_stick_2", "log_sfr_10myr")


@pytest.mark.parametrize("name", [*PARAMETERS, *NUMBERED])
def test_registry_entries_are_usable(name):
    entry = parameter(name)
    assert entry.name == name
    assert entry.limits[0] <= entry.low < entry.high <= entry.limits[1]
    Unit(entry.unit)
    MathTextParser("path").parse(entry.label)


def test_numbers_in_names_are_in_their_words():
    assert parameter("log_sfr_10myr").meaning == "star formation rate, mean of the last 10 Myr"
    assert r"SFR}_{3}/\mathrm{SFR}_{4}" in parameter("logsfr_ratio_3").label


@pytest.mark.parametrize("name", ["dust_2", "logsfr_ratio_0", "sfr_stick_", "log_sfr_myr", ""])
def test_what_is_no_parameter_is_named(name):
    with pytest.raises(ConfigError, match=rf"'{name}' is not a parameter; there are redshift, "):
        parameter(name)


@pytest.mark.parametrize(
    ("changes", "free"),
    [
        ({}, "log_age log_tau logzsol dust2"),
        (
            {"sfh": "lognormal", "dust": "charlot_fall"},
            "log_age log_tau log_t0 logzsol dust1 dust2 dust_index",
        ),
        (
            {"sfh": "double_power_law", "dust": "kriek_conroy", "nebular": False},
            "log_age log_tau log_alpha log_beta logzsol dust2 dust_index",
        ),
        (
            {"sfh": "continuity", "sfh_bins": 3, "dust_emission": True, "agn": True},
            (
                "logsfr_ratio_1 logsfr_ratio_2 logzsol dust2 log_umin log_gamma log_qpah"
                " log_fagn log_tauagn"
            ),
        ),
        (
            {
                "priors": {
                    "redshift": UniformPrior(low=0.1, high=1),
                    "gas_logz": UniformPrior(low=-1, high=0),
                    "log_tau": FixedPrior(value=0.5),
                }
            },
            "redshift log_age logzsol dust2 gas_logz",
        ),
    ],
)
def test_what_is_free(changes, free):
    assert free_parameters(ModelConfig(**changes)) == tuple(free.split())


def test_what_is_fixed_and_what_is_tied():
    chosen = ModelConfig(dust="kriek_conroy", priors={"dust_index": -0.7})
    assert fixed_parameters(chosen) == {"gas_logu": -3.0, "dust_index": -0.7}
    tied = set(model_parameters(chosen)) - set(prior_configs(chosen))
    assert tied == {"redshift", "dust_bump", "gas_logz"}
    assert all(parameter(name).tied for name in tied)


def test_default_priors_of_time_bins():
    ratio = default_prior("logsfr_ratio_1", ModelConfig(sfh="continuity"))
    # Leja et al. (2019): Student's t, scale 0.3, two degrees of freedom
    assert isinstance(ratio, StudentTPrior)
    assert (ratio.mean, ratio.scale, ratio.dof) == (0.0, 0.3, 2.0)
    # four bins: sticks are Beta(3, 1), Beta(2, 1), Beta(1, 1); densities z^2, z, 1
    chosen = ModelConfig(sfh="dirichlet", sfh_bins=4)
    middle = []
    for i in (1, 2, 3):
        stick = default_prior(f"sfr_stick_{i}", chosen)
        assert isinstance(stick, TablePrior)
        middle.append(stick.density[64] / stick.density[128])
    assert middle == [0.25, 0.5, 1.0]


def test_cosmology_against_published_calculator():
    # E. L. Wright's calculator (2006, PASP 118, 1711), H0 = 70, flat, 0.3, z = 3:
    # age 2.11 Gyr (with radiation; 2.113 without), luminosity distance 25422 Mpc,
    # and from it 25422 Mpc / (1 + z)^2 times an arcsecond in radians: 7.703 kpc
    settings = ModelConfig()
    assert age_of_universe(settings, redshift=3.0) == pytest.approx(2.113, abs=0.003)
    assert luminosity_distance(settings, redshift=3.0) == pytest.approx(25422, rel=1e-3)
    assert kpc_per_arcsec(settings, redshift=3.0) == pytest.approx(7.703, rel=1e-3)
