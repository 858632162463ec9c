"""Models in FSPS's words."""

import numpy as np
import pytest

from pxdask.core.errors import ConfigError
from pxdask.core.models import ModelConfig
from pxdask.sps.fsps.exact import FspsEngine, _refuse
from pxdask.sps.fsps.home import Libraries
from pxdask.sps.fsps.tables import TABLE_MASS

MIST = Libraries("0.5.0", "mist", "c3k_lr", "DL07", 13)


@pytest.fixture
def engine(home):
    def made(redshift=None, **settings):
        return FspsEngine(ModelConfig(**settings), home=home, redshift=redshift)

    return made


def one(engine, **more):
    values = {"log_age": 0.5, "log_tau": 0.2, "logzsol": -0.3, "dust2": 0.4, **more}
    values = {k: np.array([v]) for k, v in values.items() if k in engine.parameters or k in more}
    return engine.runs(values)[0]


def test_exponential_histories_are_fsps_s_own(engine):
    run = one(engine(sfh="tau"))
    assert run.table is None
    assert (run.parameters["sfh"], one(engine(sfh="delayed_tau")).parameters["sfh"]) == (1, 4)
    assert run.age == pytest.approx(10**0.5)
    assert run.parameters["tau"] == pytest.approx(10**0.2)


def test_very_slow_ones_are_tables(engine):
    run = one(engine(sfh="delayed_tau"), log_tau=3.0)
    assert run.parameters["sfh"] == 3
    assert np.trapezoid(run.table[1], run.table[0]) * 1e9 == pytest.approx(TABLE_MASS)


def test_gas_follows_the_stars_unless_it_is_free(engine):
    assert one(engine()).parameters["gas_logz"] == -0.3
    free = engine(priors={"gas_logz": {"low": -1, "high": 0}})
    assert one(free, gas_logz=-0.9).parameters["gas_logz"] == -0.9


def test_fixed_parameters_are_filled_in(engine):
    run = one(engine(priors={"logzsol": -0.5, "gas_logu": -2.5}))
    assert (run.parameters["logzsol"], run.parameters["gas_logu"]) == (-0.5, -2.5)


def test_absorption_between_galaxies_needs_a_redshift(engine):
    near, far = one(engine(igm="madau95")), one(engine(igm="madau95", redshift=2.0))
    assert (near.parameters["add_igm_absorption"], near.parameters["zred"]) == (False, 0.0)
    assert (far.parameters["add_igm_absorption"], far.parameters["zred"]) == (True, 2.0)


@pytest.mark.parametrize(
    ("settings", "redshift", "said"),
    [
        ({"igm": "inoue14"}, 1.0, "igm: inoue14; FSPS has Madau"),
        ({"sfh": "continuity"}, None, "continuity ends at the age of the universe"),
        (
            {"dust": "kriek_conroy", "priors": {"dust_bump": {"low": 0, "high": 3}}},
            None,
            "FSPS ties the bump to dust_index",
        ),
    ],
)
def test_what_fsps_cannot_do_is_named(settings, redshift, said):
    with pytest.raises(ConfigError, match=said):
        _refuse(ModelConfig(**settings), redshift, MIST)


def test_what_other_builds_cannot_do_is_named():
    basti = Libraries("0.4.8", "bsti", "basel", "DL07", 10)
    with pytest.raises(
        ConfigError, match=r"(?s)no nebulae for BaSTI, BASEL.*FSPS 3 dims the torus"
    ):
        _refuse(ModelConfig(agn=True), None, basti)


def test_bad_parameters_are_all_named(engine):
    free = engine(priors={"gas_logu": {"low": -4, "high": -1}})
    with pytest.raises(ConfigError) as caught:
        free.runs({"log_age": np.array([0.5, np.nan]), "gas_logu": np.array([-5.0]), "mass": [1]})
    text = str(caught.value)
    for part in ("mass: not one of", "log_tau: missing", "gas_logu: -5.0 is not within [-4, -1]",
                 "log_age: nan", "equal length; got [1, 2]"):  # fmt: skip
        assert part in text


@pytest.mark.slow
def test_metallicities_beyond_the_isochrones_are_not_extrapolated(engine):
    values = {"log_age": [0.5], "log_tau": [0.2], "logzsol": [0.9], "dust2": [0.0]}
    with pytest.raises(ConfigError, match=r"logzsol: 0.9 is not within \[-2.5, 0.5\]"):
        engine(sfh="tau").spectrum(values)
