"""Spectra of our models and of python-fsps itself, on the same data."""

import re
from pathlib import Path

import numpy as np
import pytest

from pxdask.core.bandpass import Filter
from pxdask.core.models import ModelConfig
from pxdask.kernels.igm import madau1995
from pxdask.kernels.sfh import age_quadrature, age_weights
from pxdask.sps.engine import PhotometryEngine
from pxdask.sps.fsps import FspsEngine, extract_ssp
from pxdask.sps.spectrum import SpectrumEngine
from tests.sps.fsps.agreement import BARE, CASES, FREE_GAS, compare

pytestmark = pytest.mark.slow  # python-fsps starts several times


@pytest.fixture(scope="module")
def found(home, product):
    return {x.case.name: x for x in compare(home, product)}


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_spectra_agree(found, name):
    """Limits are those of the table in docs/fsps-agreement.md, where their reasons are."""
    agreement = found[name]
    assert agreement.largest <= agreement.case.limit, agreement
    assert agreement.median > 0  # not the same numbers twice


def test_the_published_table_has_these_cases():
    text = (Path(__file__).parents[3] / "docs/fsps-agreement.md").read_text()
    assert re.findall(r"^\| ([^|]+?) \| [\d.]+e", text, re.MULTILINE) == [c.name for c in CASES]


def test_masses_agree(home, product):
    """Surviving mass has double precision; dust mass that of spectra."""
    settings = ModelConfig(
        **BARE,
        sfh="gaussian",
        dust="charlot_fall",
        dust_emission=True,
        derived=("log_dustmass",),
    )
    values = {
        "log_age": [0.3, 0.9],
        "log_tau": [-0.5, 1.0],
        "log_t0": [-0.2, 0.5],
        "logzsol": [-1.1, 0.2],
        "dust1": [1.0, 0.2],
        "dust2": [0.3, 0.9],
        "dust_index": [-0.7, -1.0],
        "log_umin": [0.0, 1.1],
        "log_gamma": [-2.0, -0.5],
        "log_qpah": [0.3, 0.5],
    }
    values = {name: np.array(value) for name, value in values.items()}
    theirs = FspsEngine(settings, home=home).models(values)
    band = Filter("r", np.array([5500.0, 6000.0, 6500.0]), np.array([0.0, 1.0, 0.0]), "photon")
    ours = PhotometryEngine(product, [band], redshift=0.01, settings=settings).derived(values)
    np.testing.assert_allclose(ours["surviving"], theirs.surviving, rtol=1e-6)
    np.testing.assert_allclose(ours["dust_mass"], theirs.dust_mass, rtol=1e-4)


def test_weights_times_populations_are_the_composite(home, product):
    """The idea of the whole design, without an engine: weights @ SSPs."""
    settings = ModelConfig(**BARE, sfh="delayed_tau", priors={"dust2": 0.0, "logzsol": 0.0})
    theirs = FspsEngine(settings, home=home).models({"log_age": [0.6], "log_tau": [0.1]})
    quadrature = age_quadrature(product["log_age"].values)
    age, shape = np.array([10**0.6]), np.array([[10**-0.1]])
    weights = age_weights("delayed_tau", age, shape, quadrature=quadrature)[0]
    solar = int(np.argmin(np.abs(product["log_z"].values)))
    ours = weights @ product["flux"].values[solar].astype(float)
    np.testing.assert_allclose(ours, theirs.spectrum[0], rtol=3e-5)  # rounding of fluxes
    light = weights @ product["luminosity"].values[solar]
    np.testing.assert_allclose(light, theirs.luminosity[0], rtol=1e-6)


def test_gas_between_nodes(home):
    """The finer nodes of a product by default keep gas near FSPS's, which is linear in logs."""
    settings = ModelConfig(**{**BARE, "nebular": True}, priors={**FREE_GAS, "dust2": 0.0})
    rng = np.random.default_rng(5)
    values = {
        "log_age": rng.uniform(-2, 0, 16),
        "log_tau": rng.uniform(-1, 1, 16),
        "logzsol": rng.uniform(-1.5, 0.1, 16),
        "gas_logu": rng.uniform(-4, -1, 16),
        "gas_logz": rng.uniform(-1.9, 0.1, 16),
    }
    theirs = FspsEngine(settings, home=home).models(values)
    ours = SpectrumEngine(extract_ssp(home), settings=settings).spectrum(values)
    optical = (theirs.wave > 3000) & (theirs.wave < 10000)
    difference = np.abs(ours[:, optical] / theirs.spectrum[:, optical] - 1)
    assert np.max(difference) < 0.03  # the peak of a line that varies tenfold over a node
    bands = np.abs(
        np.sum(ours[:, optical], axis=1) / np.sum(theirs.spectrum[:, optical], axis=1) - 1
    )
    assert np.max(bands) < 3e-3


def test_madau_absorption_redwards_of_the_fourth_line(home):
    """FSPS has 17 Lyman lines and metals, we the paper's four: alike within 2 per cent there."""
    settings = ModelConfig(**{**BARE, "igm": "madau95"}, sfh="tau", priors={"dust2": 0.0})
    values = {"log_age": [-0.3], "log_tau": [1.0], "logzsol": [0.0]}
    with_gas = FspsEngine(settings, home=home, redshift=3.0).models(values)
    without = FspsEngine(settings, home=home).models(values)
    wave = without.wave
    forest = (wave > 955) & (wave < 1210)
    ratio = with_gas.spectrum[0] / without.spectrum[0]
    ours = madau1995(wave * 4, redshift=3.0)
    np.testing.assert_allclose(ratio[forest], ours[forest], rtol=0.02)
    np.testing.assert_allclose(ratio[wave > 1220], 1.0, rtol=1e-12)
