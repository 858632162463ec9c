"""Photometry of composite populations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxdask.core.bandpass import Filter
from pxdask.core.constants import C_ANGSTROM_S
from pxdask.core.cosmology import luminosity_distance
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.models import ModelConfig, UniformPrior
from pxdask.kernels.igm import madau1995
from pxdask.sps import PhotometryEngine, SpectrumEngine
from pxdask.sps.parameters import parameter
from tests.sps.conftest import draw_evenly

ONE = {"log_age": 0.0, "log_tau": 0.0, "logzsol": -0.7, "dust2": 0.0}
ONE = {name: np.array([value]) for name, value in ONE.items()}
SFHS = (
    "tau",
    "delayed_tau",
    "lognormal",
    "gaussian",
    "double_power_law",
    "continuity",
    "dirichlet",
)
GAS = {"gas_logu": UniformPrior(low=-4, high=-1), "gas_logz": UniformPrior(low=-1, high=0.2)}


def _sampled(ssp, band, spectrum, redshift):
    """Mean f_nu [uJy] of a spectrum by sums over a million points: no code of the engine."""
    edges, wave = ssp["wave_edges"].values, ssp["wave"].values
    observed = np.linspace(band.wave[0], band.wave[-1], 1_000_001)
    response = np.interp(observed, band.wave, band.transmission)
    response = response * observed if band.detector == "photon" else response
    inside = np.searchsorted(edges, observed / (1 + redshift), side="right") - 1
    absorbed = madau1995(wave[inside] * (1 + redshift), redshift=redshift)
    flux = spectrum[inside] * absorbed / (1 + redshift)
    mean = np.sum(flux * response) / np.sum(response * C_ANGSTROM_S / observed**2)
    distance = luminosity_distance(ModelConfig(), redshift=redshift) * 3.0856775814913673e24
    return mean * 3.828e33 / (4 * np.pi * distance**2) / 1e-29


@pytest.mark.parametrize("redshift", [0.02, 3.0])
def test_exact_flux_equals_a_plain_sum(ssp, bands, make_engine, redshift):
    engine = make_engine(redshift=redshift)
    parameters = draw_evenly(engine, 3)
    spectra = SpectrumEngine(ssp, settings=ModelConfig(), redshift=redshift).spectrum(parameters)
    got = engine.exact_flux(parameters)
    for b, band in enumerate(bands):
        if redshift > 2 and band.name in ("fuv", "nuv"):
            continue  # beyond the Lyman limit: almost no light to compare
        for i in range(3):
            expected = _sampled(ssp, band, spectra[i].astype(float), redshift)
            # a plain sum misses bin edges by half a step in a million
            assert got[i, b] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("redshift", [0.02, 0.5, 3.0])
@pytest.mark.parametrize("dust", ["calzetti", "charlot_fall", "kriek_conroy"])
@pytest.mark.parametrize("priors", [{}, GAS], ids=["gas fixed", "gas free"])
def test_fast_flux_equals_the_exact_one(make_engine, redshift, dust, priors):
    engine = make_engine(redshift=redshift, dust=dust, dust_emission=True, agn=True, priors=priors)
    parameters = draw_evenly(engine, 200)
    fast, exact = engine.flux(parameters), engine.exact_flux(parameters)
    depths = [name for name in ("dust1", "dust2") if name in parameters]
    bare = make_engine(redshift=redshift, dust=dust, priors=priors)
    lean = {name: parameters[name] for name in bare.parameters}
    clear = bare.exact_flux({**lean, **{name: np.zeros(200) for name in depths}})
    with np.errstate(divide="ignore", invalid="ignore"):  # beyond the Lyman limit all is dark
        attenuated = -2.5 * np.log10(bare.exact_flux(lean) / clear)
    assert fast.dtype == np.float32
    # 0.1 per cent is what six nodes must reach where a band loses less than 5 mag
    np.testing.assert_array_less(np.abs(fast[attenuated < 5] / exact[attenuated < 5] - 1), 1e-3)


@pytest.mark.parametrize("sfh", SFHS)
def test_every_history_has_its_fast_path(make_engine, sfh):
    engine = make_engine(sfh=sfh)
    parameters = draw_evenly(engine, 100, dust2=0.3)
    np.testing.assert_allclose(engine.flux(parameters), engine.exact_flux(parameters), rtol=3e-4)


def test_flux_of_a_burst_is_worked_by_hand(ssp, make_engine):
    # t exp(-t / 0.1 Gyr) for 10 Gyr, on nodes 7.94 and 10 Gyr: the node before gets
    # <ln(10 / age)> / (0.1 ln 10) = (0.02 + 0.0003 + 0.000008) / 0.23026 = 0.0882
    engine = make_engine(redshift=0.1, nebular=False, igm="none")
    burst = {**ONE, "log_tau": np.array([-1.0]), "log_age": np.array([1.0])}
    before, at = ssp["flux"].values[1, [49, 50]].astype(float)
    expected = (0.0882 * before + (1 - 0.0882) * at) @ engine._weights.T
    optical = slice(2, 8)
    # points an interval put the share right to 1e-5; the hand value has four digits
    np.testing.assert_allclose(engine.flux(burst)[0, optical], expected[optical], rtol=1e-4)


def test_ionisation_parameter_is_interpolated(ssp, bands):
    middle = PhotometryEngine(ssp, bands, redshift=0.5, settings=ModelConfig()).flux(ONE)
    ends = [
        PhotometryEngine(
            ssp, bands, redshift=0.5, settings=ModelConfig(priors={"gas_logu": u})
        ).flux(ONE)
        for u in (-4.0, -2.0)
    ]
    np.testing.assert_allclose(middle, (ends[0] + ends[1]) / 2, rtol=1e-6)


def test_free_gas_at_the_fixed_values_gives_the_same(make_engine):
    fixed = make_engine(dust="charlot_fall")
    free = make_engine(dust="charlot_fall", priors=GAS)
    parameters = draw_evenly(fixed, 50)
    parameters["logzsol"] = np.clip(parameters["logzsol"], -1, 0.2)
    gas = {"gas_logu": np.full(50, -3.0), "gas_logz": parameters["logzsol"]}
    np.testing.assert_allclose(free.flux({**parameters, **gas}), fixed.flux(parameters), rtol=5e-6)


@pytest.mark.parametrize("priors", [{}, GAS], ids=["gas fixed", "gas free"])
def test_same_bits_in_any_batch(make_engine, priors):
    engine = make_engine(dust="charlot_fall", dust_emission=True, agn=True, priors=priors)
    parameters = draw_evenly(engine, 257)
    whole = engine.flux(parameters)
    order = np.random.default_rng(0).permutation(257)[:100]
    part = engine.flux({name: value[order] for name, value in parameters.items()})
    np.testing.assert_array_equal(part, whole[order])
    single = engine.flux({name: value[:1] for name, value in parameters.items()})
    np.testing.assert_array_equal(single, whole[:1])


def test_bands_do_not_depend_on_one_another(ssp, bands, make_engine):
    engine = make_engine()
    parameters = draw_evenly(engine, 20)
    together = engine.flux(parameters)
    alone = [
        PhotometryEngine(ssp, [band], redshift=0.5, settings=ModelConfig()).flux(parameters)
        for band in bands
    ]
    np.testing.assert_allclose(np.hstack(alone), together, rtol=2e-6)  # float32 sums differ


def test_intergalactic_absorption(make_engine):
    absorbed = {
        igm: make_engine(redshift=2.5, igm=igm).flux(ONE)[0]
        for igm in ("none", "madau95", "inoue14")
    }
    blue = 2  # the u band
    for igm in ("madau95", "inoue14"):
        assert absorbed[igm][blue] < 0.97 * absorbed["none"][blue]
        np.testing.assert_array_equal(absorbed[igm][blue + 1 :], absorbed["none"][blue + 1 :])


@settings(max_examples=15)
@given(mass=st.floats(1e-3, 1e3), seed=st.integers(0, 1000))
def test_mass_scales_out(ssp, bands, mass, seed):
    """Populations that shine more, by one factor in all they do, give more by that factor."""
    models = ModelConfig(dust="charlot_fall", dust_emission=True, agn=True, priors=GAS)
    bright = ssp.copy()
    for name in ("flux", "luminosity", "ionising"):
        bright[name] = (ssp[name] * mass).astype(ssp[name].dtype).assign_attrs(ssp[name].attrs)
    one, more = (
        PhotometryEngine(each, bands, redshift=0.5, settings=models) for each in (ssp, bright)
    )
    parameters = draw_evenly(one, 5, seed=seed)
    # beyond the Lyman limit float32 runs out of digits
    np.testing.assert_allclose(
        more.flux(parameters), mass * one.flux(parameters), rtol=1e-5, atol=1e-30
    )


@settings(max_examples=15)
@given(
    redshift=st.floats(0.01, 6),
    dust2=st.floats(0, 4),
    log_umin=st.floats(-1, 1),
    log_gamma=st.floats(-4, 0),
)
def test_energy_balance(ssp, redshift, dust2, log_umin, log_gamma):
    """What dust absorbs is what it emits, however often it absorbs that again."""
    models = ModelConfig(
        dust="charlot_fall", dust_emission=True, derived=("log_dust_luminosity",),
        priors={"dust_index": -0.7, "dust1": 0.5},
    )  # fmt: skip
    spectra = SpectrumEngine(ssp, settings=models, redshift=redshift)
    age = np.minimum(0.0, np.log10(0.9 * spectra._inputs.universe))
    parameters = {
        "log_age": age, "log_tau": 0.0, "logzsol": -0.5, "dust2": dust2, "log_umin": log_umin,
        "log_gamma": log_gamma, "log_qpah": 0.3,
    }  # fmt: skip
    parameters = {name: np.array([value]) for name, value in parameters.items()}
    widths = np.diff(ssp["wave_edges"].values)
    parts = {n: part[0] @ widths for n, part in spectra.components(parameters).items()}
    bare = SpectrumEngine(
        ssp,
        settings=ModelConfig(dust="charlot_fall", priors={"dust_index": -0.7, "dust1": 0.0}),
        redshift=redshift,
    )
    clear = {n: v for n, v in parameters.items() if n in bare.parameters}
    lit = bare.spectrum({**clear, "dust2": np.zeros(1)})[0] @ widths
    assert sum(parts.values()) == pytest.approx(lit, rel=1e-3)
    engine = PhotometryEngine(ssp, (), redshift=redshift, settings=models)
    absorbed = lit - parts["stellar"] - parts["nebular"]
    luminosity = engine.derived(parameters)["dust_luminosity"][0]
    assert luminosity == pytest.approx(absorbed, rel=1e-3, abs=1e-4 * lit)


def test_dust_mass_is_luminosity_over_power(ssp, make_engine):
    # all but none of the dust lit by more than U = 1
    engine = make_engine(
        dust_emission=True,
        derived=("log_dustmass", "log_dust_luminosity"),
        priors={"log_umin": 0.0, "log_gamma": -10.0, "log_qpah": np.log10(ssp["q_pah"].values[0])},
    )
    derived = engine.derived({**ONE, "dust2": np.array([1.0])})
    power = np.interp(1.0, ssp["u_min"].values, ssp["dust_power"].values[0, 0])
    assert derived["dust_luminosity"][0] / derived["dust_mass"][0] == pytest.approx(power)


def test_no_dust_has_no_dust_mass(make_engine):
    engine = make_engine(dust_emission=True, derived=("log_dustmass",))
    parameters = draw_evenly(engine, 3, dust2=0.0)
    np.testing.assert_array_equal(engine.derived(parameters)["dust_mass"], 0.0)
    assert np.all(np.isfinite(engine.flux(parameters)))


def test_derived_quantities_of_a_young_constant_history(make_engine):
    # 50 Myr of all but constant rate: mean age 25 Myr, all mass in the last 100 Myr
    names = ("log_mw_age", "av", "lookback_50", "log_sfr_10myr", "log_mass_formed")
    engine = make_engine(sfh="tau", derived=names)
    young = {**ONE, "log_age": np.log10([0.05]), "log_tau": np.array([4.0])}
    derived = engine.derived({**young, "dust2": np.array([2.0])})
    assert derived["log_mw_age"][0] == pytest.approx(np.log10(0.025), abs=1e-4)
    assert derived["sfr"][0] == pytest.approx(1e-8)
    assert derived["sfr_10myr"][0] == pytest.approx(2e-8, rel=1e-4)
    assert derived["lookback_50"][0] == pytest.approx(0.025, rel=1e-3)
    assert derived["formed"][0] == 1.0
    assert derived["av"][0] == pytest.approx(2.1715, abs=1e-4)
    # synthetic: 1 beyond 1 Myr less 0.06 a dex; mean of log t / Myr to 50 is ln 50 - 1 + 1/50
    expected = 1 - 0.06 * (np.log(50) - 1 + 1 / 50) / np.log(10)
    assert derived["surviving"][0] == pytest.approx(expected, abs=1e-5)


def test_filter_beyond_the_populations(ssp):
    far = Filter("xray", np.array([50.0, 60.0]), np.array([1.0, 1.0]))
    with pytest.raises(ConfigError, match=r"(?s)at redshift 0\.5 .* span.*'xray' spans 50-60"):
        PhotometryEngine(ssp, [far], redshift=0.5, settings=ModelConfig())


def test_fixed_values_beyond_the_populations(make_engine):
    with pytest.raises(ConfigError, match=r"(?s)gas_logu: 0\.5 .*\[-4, 0\].*log_umin: 3\.0"):
        make_engine(dust_emission=True, priors={"gas_logu": 0.5, "log_umin": 3.0})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"derived": ("log_dustmass",)}, r"'log_dustmass' needs models\.dust_emission"),
        ({"derived": ("log_fagn_bol",)}, r"'log_fagn_bol' needs models\.agn"),
        ({"derived": ("dust2",)}, r"'dust2' is a parameter"),
        ({"derived": ("mass",)}, r"'mass' is not a parameter; there are redshift, log_age"),
    ],
)
def test_derived_quantities_that_these_models_lack(make_engine, settings, message):
    with pytest.raises(ConfigError, match=message):
        make_engine(**settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"log_age": np.array([1.2])}, r"log_age: 1\.2 .* within \[-4, 0\.92"),
        ({"dust2": np.array([np.nan])}, r"dust2: nan .* within \[0, 50\]"),
        ({"logzsol": np.array([0.6])}, r"logzsol: 0\.6 .* within \[-2, 0\.5\] dex"),
        ({"dust1": np.array([0.6])}, r"dust1: not a parameter .*log_age, log_tau"),
        ({"gas_logu": np.array([-2.0])}, r"gas_logu: not free \(fixed at -3\.0\)"),
        ({"gas_logz": np.array([-2.0])}, r"gas_logz: not free \(logzsol\)"),
        ({"dust2": np.array([0.1, 0.2])}, r"equal length; got .*dust2 \(2,\)"),
        ({"dust2": 0.1}, r"one dimension .*dust2 \(\)"),
    ],
)
def test_unusable_parameters_are_named(make_engine, change, message):
    with pytest.raises(ConfigError, match=message):
        make_engine().flux({**ONE, **change})


def test_missing_parameters_are_all_named(make_engine):
    with pytest.raises(ConfigError, match=r"(?s)log_tau: missing.*logzsol: missing"):
        make_engine().derived({"log_age": ONE["log_age"], "dust2": ONE["dust2"]})


def test_redshift_must_be_positive(make_engine):
    with pytest.raises(DataError, match=r"redshift is 0\.0"):
        make_engine(redshift=0.0)


def test_no_models_and_one_band(ssp, bands):
    none = {name: np.empty(0) for name in ONE}
    engine = PhotometryEngine(ssp, bands[:1], redshift=0.5, settings=ModelConfig())
    assert engine.flux(none).shape == (0, 1)


def test_draws_cover_the_registry(make_engine):
    engine = make_engine(dust="charlot_fall", dust_emission=True, agn=True, priors=GAS)
    drawn = draw_evenly(engine, 1000)
    for name, values in drawn.items():
        entry = parameter(name)
        assert np.ptp(values) > 0.5 * (entry.high - entry.low), name
