import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.bandpass import Filter
from pxdask.core.errors import DataError
from pxdask.core.models import ModelConfig
from pxdask.simulate.mock_seds import Spectrograph, _metals, manga_like, mock_seds
from pxdask.simulate.stochastic import Assembly
from pxdask.sps import PhotometryEngine, synthetic_ssp
from pxdask.sps.histories import bin_edges
from pxdask.sps.spectrum import SpectrumEngine

REDSHIFT = 0.05
DUST = {"dust1": np.array([1.0]), "dust2": np.array([0.7]), "dust_index": np.array([-0.7])}
FWHM_PER_SIGMA = 2.3548200450309493


@pytest.fixture(scope="module")
def ssp():
    return synthetic_ssp(n_wave=2000)


@pytest.fixture(scope="module")
def bands():
    return tuple(
        Filter(f"b{wave}", wave * np.array([0.85, 0.95, 1.1, 1.2]), np.array([0.0, 1, 1, 0]))
        for wave in (1500, 3600, 6200, 22000)
    )


def constant(edges, shares, log_z):
    shares = np.atleast_2d(np.array(shares, float))
    return Assembly(np.array(edges, float), shares, np.full(shares.shape, log_z))


def made(assembly, ssp, bands, *, log_mass=10.0, settings=None, dust=None, **given):
    n = assembly.formed.shape[0]
    return mock_seds(
        assembly,
        ssp,
        bands,
        log_mass=np.full(n, log_mass),
        dust=dust or {"dust2": np.zeros(n)},
        redshift=REDSHIFT,
        settings=settings or ModelConfig(),
        **given,
    )


@pytest.mark.parametrize("law", ["calzetti", "charlot_fall"])
@pytest.mark.parametrize("nebular", [True, False])
def test_the_sum_is_that_of_the_engines(ssp, bands, law, nebular):
    settings = ModelConfig(sfh="continuity", sfh_bins=4, dust=law, nebular=nebular)
    engine = PhotometryEngine(ssp, bands, redshift=REDSHIFT, settings=settings)
    dust = {name: DUST[name] for name in engine.parameters if name in DUST}
    log_z = float(ssp["log_z"].values[1])
    ratios = {f"logsfr_ratio_{i}": np.array([0.3 * i - 0.4]) for i in (1, 2, 3)}
    parameters = {**ratios, **dust, "logzsol": np.array([log_z])}
    edges = bin_edges(settings, universe=engine._inputs.universe)
    rate = 10 ** -np.cumsum([0.0, *(float(ratio[0]) for ratio in ratios.values())])
    shares = rate * np.diff(edges)
    assembly = constant(edges, shares / shares.sum(), log_z)
    lsf = Spectrograph(np.linspace(4000, 7000, 301), 2000.0)
    mocks = made(
        assembly, ssp, bands, settings=settings, dust=dust, spectrograph=lsf, metal_spread=0.0
    )
    formed = 1e10 / engine.derived(parameters)["surviving"]
    # populations are float32
    np.testing.assert_allclose(mocks.flux, engine.exact_flux(parameters) * formed, rtol=2e-5)
    spectra = SpectrumEngine(
        ssp,
        settings=settings,
        redshift=REDSHIFT,
        frame="observed",
        wave_edges=lsf.wave_edges,
        lsf=(lsf.wave, lsf.lsf_fwhm / FWHM_PER_SIGMA),
    )
    # the engine attenuates smoothed spectra at their pixels, the mock attenuates in the product's
    # bins, here of 20 to 30 Angstrom, and smooths then
    wanted = spectra.spectrum(parameters) * formed / 1e-17
    np.testing.assert_allclose(mocks.spectrum, wanted, rtol=3e-3)


def test_truth_by_hand(ssp, bands):
    # a tenth of the stars 0 to 100 Myr ago, the rest 5 to 7 Gyr ago
    assembly = constant([0.0, 0.1, 5.0, 7.0], [0.1, 0.0, 0.9], 0.0)
    mocks = made(assembly, ssp, bands, metal_spread=0.0)
    truth = {name: value[0] for name, value in mocks.truth.items()}
    assert truth["log_mass"] == 10
    assert 10 ** truth["log_mw_age"] == pytest.approx(0.1 * 0.05 + 0.9 * 6.0)
    assert truth["logzsol"] == pytest.approx(0)
    assert truth["lookback_90"] == pytest.approx(5.0)
    assert truth["lookback_30"] == pytest.approx(7 - 2 * 0.3 / 0.9)
    # half of the young stars within 50 Myr; all stars formed are more than those that live
    formed = 10 ** truth["log_sfr_50myr"] * 5e7 / 0.05
    assert 1e10 < formed < 3e10


def test_flux_is_proportional_to_mass_and_dimmed_by_dust(ssp, bands):
    assembly = constant([0.0, 0.1, 5.0, 7.0], [0.1, 0.0, 0.9], 0.0)
    plain = made(assembly, ssp, bands)
    np.testing.assert_allclose(made(assembly, ssp, bands, log_mass=11).flux, 10 * plain.flux)
    dusty = made(assembly, ssp, bands, dust={"dust2": np.ones(1)})
    assert np.all(np.diff(dusty.flux / plain.flux) > 0)


def test_noise_is_what_the_errors_say(ssp, bands):
    assembly = constant([0.0, 0.1, 5.0], np.tile([0.1, 0.9], (2000, 1)), 0.0)
    mocks = made(assembly, ssp, bands)
    seds = mocks.observe(snr=10.0, rng=np.random.default_rng(3))
    np.testing.assert_allclose(seds.flux_err, mocks.flux / 10)
    pulls = (seds.flux - mocks.flux) / seds.flux_err
    # 8,000 draws: mean to 0.011, deviation to 0.008
    assert np.mean(pulls) == pytest.approx(0, abs=0.05)
    assert np.std(pulls) == pytest.approx(1, abs=0.04)
    assert seds.keys[:2] == (("mock", 0), ("mock", 1))
    assert seds.spectrum is None
    with pytest.raises(DataError, match="S/N is 0"):
        mocks.observe(snr=0.0, rng=np.random.default_rng(3))


def test_spectra_are_observed_after_the_photometry(ssp, bands):
    assembly = constant([0.0, 0.1, 5.0], [0.1, 0.9], 0.0)
    lsf = manga_like(n_wave=50)
    both = made(assembly, ssp, bands, spectrograph=lsf)
    alone = made(assembly, ssp, bands)
    seds = both.observe(snr=10.0, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(
        seds.flux, alone.observe(snr=10.0, rng=np.random.default_rng(3)).flux
    )
    assert seds.spectrum.shape == (1, 50)
    np.testing.assert_allclose(seds.lsf_fwhm, seds.wave / 2000)


@given(st.floats(-3, 1), st.floats(0, 0.4))
def test_metals_are_shared_out_whole(log_z, spread):
    nodes = np.array([-2.0, -1.0, -0.3, 0.0, 0.4])
    shares, mean = _metals(np.array([log_z]), nodes, spread)
    assert np.all(shares >= -1e-12)
    assert np.sum(shares) == pytest.approx(1)
    assert 0.0099 <= mean[0] <= 10**0.4 * 1.0001
    # linear in log Z: the mean log is kept where no star is beyond the nodes
    if log_z - 4 * spread > -2 and log_z + 4 * spread < 0.4:
        assert np.sum(shares * nodes) == pytest.approx(log_z, abs=1e-9)


def test_mean_metallicity_is_that_of_a_lognormal():
    nodes = np.array([-2.0, 2.0])
    _, mean = _metals(np.array([-0.1]), nodes, 0.2)
    assert mean[0] == pytest.approx(10**-0.1 * np.exp((0.2 * np.log(10)) ** 2 / 2), rel=1e-5)


def test_masses_must_be_those_of_the_galaxies(ssp, bands):
    with pytest.raises(DataError, match="masses of 1 galaxies"):
        mock_seds(
            constant([0.0, 0.1], [1.0], 0.0),
            ssp,
            bands,
            log_mass=np.zeros(2),
            dust={"dust2": np.zeros(1)},
            redshift=REDSHIFT,
            settings=ModelConfig(),
        )
