"""Photometry of composite populations."""

import numpy as np
import pytest

from pxdask.core.bandpass import Filter
from pxdask.core.config import ModelConfig
from pxdask.core.constants import C_ANGSTROM_S
from pxdask.core.errors import ConfigError, DataError
from pxdask.kernels.dust import calzetti
from pxdask.kernels.igm import madau1995
from pxdask.sps import PhotometryEngine
from pxdask.sps.cosmology import luminosity_distance

ONE = {name: np.array([value]) for name, value in (("log_age", 0.0), ("log_tau", 0.0))}
ONE |= {"logzsol": np.array([-0.7]), "dust2": np.array([0.0])}


def _engine(ssp, bands, *, redshift=0.5, **settings):
    return PhotometryEngine(ssp, bands, redshift=redshift, settings=ModelConfig(**settings))


def _sampled(engine, band, spectrum, redshift):
    """Mean f_nu [uJy] of a spectrum by sums over a million points: no code of the engine."""
    edges = engine._populations.wave_edges
    observed = np.linspace(band.wave[0], band.wave[-1], 1_000_001)
    response = np.interp(observed, band.wave, band.transmission)
    response = response * observed if band.detector == "photon" else response
    inside = np.searchsorted(edges, observed / (1 + redshift), side="right") - 1
    absorbed = madau1995(engine.wave[inside] * (1 + redshift), redshift=redshift)
    flux = spectrum[inside] * absorbed / (1 + redshift)
    mean = np.sum(flux * response) / np.sum(response * C_ANGSTROM_S / observed**2)
    distance = luminosity_distance(ModelConfig(), redshift=redshift) * 3.0856775814913673e24
    return mean * 3.828e33 / (4 * np.pi * distance**2) / 1e-29


@pytest.mark.parametrize("redshift", [0.02, 3.0])
def test_exact_flux_equals_a_plain_sum(ssp, bands, draw, redshift):
    engine, parameters = _engine(ssp, bands, redshift=redshift), draw(3)
    spectra, got = engine.spectrum(parameters), engine.exact_flux(parameters)
    for b, band in enumerate(bands):
        if redshift > 2 and band.name == "fuv":
            continue  # 380 Angstrom at rest: almost no light to compare
        for i in range(3):
            expected = _sampled(engine, band, spectra[i], redshift)
            # a plain sum misses bin edges by half a step in a million
            assert got[i, b] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("redshift", [0.02, 0.5, 3.0])
@pytest.mark.parametrize("sfh", ["tau", "delayed_tau"])
def test_fast_flux_equals_the_exact_one(ssp, bands, draw, redshift, sfh):
    engine = _engine(ssp, bands, redshift=redshift, sfh=sfh)
    parameters = draw(300)
    fast, exact = engine.flux(parameters), engine.exact_flux(parameters)
    clear = engine.exact_flux({**parameters, "dust2": np.zeros(300)})
    attenuated = -2.5 * np.log10(exact / clear)
    assert fast.dtype == np.float32
    assert np.all(fast > 0)
    # 0.1 per cent is what six nodes must reach where a band loses less than 5 mag
    np.testing.assert_array_less(np.abs(fast / exact - 1)[attenuated < 5], 1e-3)


def test_spectrum_of_a_burst_is_worked_by_hand(ssp, bands):
    # t exp(-t / 0.1 Gyr) for 10 Gyr, on nodes 7.94 and 10 Gyr: the node before gets
    # <ln(10 / age)> / (0.1 ln 10) = (0.02 + 0.0003 + 0.000008) / 0.23026 = 0.0882
    engine = _engine(ssp, bands, redshift=0.1, nebular=False)
    got = engine.spectrum({**ONE, "log_tau": np.array([-1.0]), "log_age": np.array([1.0])})[0]
    before, at = ssp["flux"].values[1, [49, 50]].astype(float)
    optical = (engine.wave > 3000) & (engine.wave < 1e5)
    expected = 0.0882 * before + (1 - 0.0882) * at
    # 12 points an interval put the share right to 1e-5; the hand value has four digits
    np.testing.assert_allclose(got[optical], expected[optical], rtol=1e-4)
    assert np.max(np.abs(got[optical] / at[optical] - 1)) > 0.01


def test_dust_dims_by_the_law(ssp, bands):
    engine = _engine(ssp, bands)
    clear, dusty = engine.spectrum(ONE), engine.spectrum({**ONE, "dust2": np.array([1.0])})
    lit = clear[0] > 0
    np.testing.assert_allclose(
        dusty[0, lit] / clear[0, lit], np.exp(-calzetti(engine.wave[lit])), rtol=1e-12
    )


def test_gas_takes_ionising_light_and_gives_lines(ssp, bands, draw):
    with_gas, stars = _engine(ssp, bands), _engine(ssp, bands, nebular=False)
    parameters = draw(5, dust2=0.0)
    lines, bare = with_gas.spectrum(parameters), stars.spectrum(parameters)
    ionising, optical = with_gas.wave < 911, with_gas.wave > 912
    assert np.all(lines[:, ionising].sum(axis=1) < bare[:, ionising].sum(axis=1))
    assert np.all(lines[:, optical] >= bare[:, optical])
    halpha = np.abs(with_gas.wave - 6564.6).argmin()
    assert np.all(lines[:, halpha] > 1.05 * bare[:, halpha])


def test_ionisation_parameter_is_interpolated(ssp, bands):
    low, middle, high = (_engine(ssp, bands, log_u=u).spectrum(ONE) for u in (-4.0, -3.0, -2.0))
    np.testing.assert_allclose(middle, (low + high) / 2, rtol=1e-6)


def test_same_bits_in_any_batch(ssp, bands, draw):
    engine, parameters = _engine(ssp, bands), draw(257)
    whole = engine.flux(parameters)
    order = np.random.default_rng(0).permutation(257)[:100]
    part = engine.flux({name: value[order] for name, value in parameters.items()})
    np.testing.assert_array_equal(part, whole[order])
    single = engine.flux({name: value[:1] for name, value in parameters.items()})
    np.testing.assert_array_equal(single, whole[:1])


def test_bands_do_not_depend_on_one_another(ssp, bands, draw):
    parameters = draw(20)
    together = _engine(ssp, bands).flux(parameters)
    alone = np.hstack([_engine(ssp, [band]).flux(parameters) for band in bands])
    np.testing.assert_allclose(alone, together, rtol=2e-6)  # float32 sums of other lengths


def test_intergalactic_absorption_can_be_left_out(ssp, bands):
    absorbed = _engine(ssp, bands, redshift=2.5).flux(ONE)
    free = _engine(ssp, bands, redshift=2.5, igm="none").flux(ONE)
    blue = [band.name for band in bands].index("u")
    assert absorbed[0, blue] < 0.97 * free[0, blue]
    np.testing.assert_array_equal(absorbed[0, blue + 1 :], free[0, blue + 1 :])


def test_derived_quantities_of_a_young_constant_history(ssp, bands):
    # 50 Myr of all but constant rate: mean age 25 Myr, all mass in the last 100 Myr
    engine = _engine(ssp, bands, sfh="tau")
    young = {**ONE, "log_age": np.log10([0.05]), "log_tau": np.array([4.0])}
    derived = engine.derived({**young, "dust2": np.array([2.0])})
    assert derived["log_mw_age"][0] == pytest.approx(np.log10(0.025), abs=1e-4)
    assert derived["sfr"][0] == pytest.approx(1e-8)
    assert derived["av"][0] == pytest.approx(2.1715, abs=1e-4)
    # synthetic: 1 beyond 1 Myr less 0.06 a dex; mean of log t / Myr to 50 is ln 50 - 1 + 1/50
    expected = 1 - 0.06 * (np.log(50) - 1 + 1 / 50) / np.log(10)
    assert derived["surviving"][0] == pytest.approx(expected, abs=1e-5)


def test_filter_beyond_the_populations(ssp):
    far = Filter("xray", np.array([50.0, 60.0]), np.array([1.0, 1.0]))
    with pytest.raises(ConfigError, match=r"(?s)at redshift 0\.5 .* span.*'xray' spans 50-60"):
        _engine(ssp, [far])


def test_ionisation_parameter_beyond_the_populations(ssp, bands):
    cut = ssp.isel(log_u=slice(0, 2))
    with pytest.raises(ConfigError, match=r"log_u = -1\.0 is outside .*\[-4\.0, -2\.0\]"):
        _engine(cut, bands, log_u=-1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"log_age": np.array([1.2])}, r"log_age: 1\.2 .* within \[-4, 0\.92"),
        ({"dust2": np.array([np.nan])}, r"dust2: nan .* within \[0, 50\]"),
        ({"logzsol": np.array([0.6])}, r"logzsol: 0\.6 .* within \[-2, 0\.5\] dex"),
        ({"dust1": np.array([0.6])}, r"dust1: unknown or not free; .*log_age, log_tau"),
        ({"dust2": np.array([0.1, 0.2])}, r"equal length; got .*dust2 \(2,\)"),
        ({"dust2": 0.1}, r"one dimension .*dust2 \(\)"),
    ],
)
def test_unusable_parameters_are_named(ssp, bands, change, message):
    with pytest.raises(ConfigError, match=message):
        _engine(ssp, bands).flux({**ONE, **change})


def test_missing_parameters_are_all_named(ssp, bands):
    with pytest.raises(ConfigError, match=r"(?s)log_tau: missing.*logzsol: missing"):
        _engine(ssp, bands).derived({"log_age": ONE["log_age"], "dust2": ONE["dust2"]})


def test_redshift_must_be_positive(ssp, bands):
    with pytest.raises(DataError, match=r"redshift is 0\.0"):
        _engine(ssp, bands, redshift=0.0)


def test_no_models_and_one_band(ssp, bands):
    none = {name: np.empty(0) for name in ONE}
    assert _engine(ssp, bands[:1]).flux(none).shape == (0, 1)
