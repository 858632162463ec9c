"""The registry and the priors."""

import numpy as np
import pytest
from astropy.units import Unit
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.mathtext import MathTextParser

from pxdask.core.config import ModelConfig, PriorConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.sps import PARAMETERS, free_parameters, resolve_priors
from pxdask.sps.cosmology import age_of_universe, luminosity_distance


@pytest.mark.parametrize("name", PARAMETERS)
def test_registry_entries_are_usable(name):
    parameter = PARAMETERS[name]
    assert parameter.name == name
    assert parameter.limits[0] <= parameter.low < parameter.high <= parameter.limits[1]
    Unit(parameter.unit)
    MathTextParser("path").parse(parameter.label)


def test_cosmology_against_published_calculator():
    # E. L. Wright's calculator (2006, PASP 118, 1711), H0 = 70, flat, 0.3, z = 3:
    # age 2.11 Gyr (with radiation; 2.113 without), luminosity distance 25422 Mpc
    settings = ModelConfig()
    assert age_of_universe(settings, redshift=3.0) == pytest.approx(2.113, abs=0.003)
    assert luminosity_distance(settings, redshift=3.0) == pytest.approx(25422, rel=1e-3)


def test_priors_are_the_registry_s_but_for_the_age_of_the_universe():
    ranges = resolve_priors(ModelConfig(), redshift=1.0)
    assert tuple(ranges) == free_parameters(ModelConfig())
    assert ranges["log_tau"] == (-1.0, 1.5)
    assert ranges["log_age"][0] == -1.0
    assert ranges["log_age"][1] == pytest.approx(np.log10(5.75), abs=0.002)


@given(redshift=st.floats(1e-4, 12), high=st.floats(-0.9, 1.3))
def test_nothing_is_older_than_the_universe(redshift, high):
    settings = ModelConfig(priors={"log_age": PriorConfig(low=-1, high=high)})
    low, top = resolve_priors(settings, redshift=redshift)["log_age"]
    assert low < top <= high
    assert 10**top <= age_of_universe(settings, redshift=redshift) * (1 + 1e-12)


def test_every_bad_prior_is_named():
    settings = ModelConfig(
        priors={
            "log_mass": PriorConfig(low=8, high=12),
            "dust_2": PriorConfig(low=0, high=1),
            "dust2": PriorConfig(low=-1, high=1),
        }
    )
    with pytest.raises(ConfigError, match=r"(?s)'log_mass'.*'dust_2'.*dust2: \[-1.0, 1.0\]"):
        resolve_priors(settings, redshift=0.1)


def test_universe_younger_than_every_model():
    settings = ModelConfig(priors={"log_age": PriorConfig(low=0.5, high=1)})
    with pytest.raises(DataError, match=r"2\.11 Gyr old.*models\.priors\.log_age\.low"):
        resolve_priors(settings, redshift=3.0)


@pytest.mark.parametrize("redshift", [0.0, -0.1, np.nan, np.inf])
def test_redshift_must_be_positive(redshift):
    with pytest.raises(DataError, match="above zero"):
        resolve_priors(ModelConfig(), redshift=redshift)
