"""Full spectra, their components and their resolution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.cosmology import luminosity_distance
from pxdask.core.errors import ConfigError
from pxdask.core.models import ModelConfig
from pxdask.kernels.dust import calzetti
from pxdask.sps import PhotometryEngine, SpectrumEngine, synthetic_ssp
from tests.sps.conftest import draw_evenly

ONE = {"log_age": 0.0, "log_tau": 0.0, "logzsol": -0.7, "dust2": 0.0}
ONE = {name: np.array([value]) for name, value in ONE.items()}
ALL = {"dust": "charlot_fall", "dust_emission": True, "agn": True}


def _drawn(ssp, settings, n_model, **given):
    return draw_evenly(PhotometryEngine(ssp, (), redshift=0.3, settings=settings), n_model, **given)


def test_spectrum_of_a_burst_is_worked_by_hand(ssp):
    # as for its flux: 0.0882 of node 49, the rest of node 50
    spectra = SpectrumEngine(ssp, settings=ModelConfig(nebular=False))
    got = spectra.spectrum({**ONE, "log_tau": np.array([-1.0]), "log_age": np.array([1.0])})[0]
    before, at = ssp["flux"].values[1, [49, 50]].astype(float)
    optical = (spectra.wave > 3000) & (spectra.wave < 1e5)
    expected = 0.0882 * before + (1 - 0.0882) * at
    np.testing.assert_allclose(got[optical], expected[optical], rtol=1e-4)
    assert np.max(np.abs(got[optical] / at[optical] - 1)) > 0.01


def test_dust_dims_by_the_law(ssp):
    spectra = SpectrumEngine(ssp, settings=ModelConfig())
    clear, dusty = spectra.spectrum(ONE), spectra.spectrum({**ONE, "dust2": np.array([1.0])})
    lit = clear[0] > 1e-30
    np.testing.assert_allclose(
        dusty[0, lit] / clear[0, lit], np.exp(-calzetti(spectra.wave[lit])), rtol=5e-6
    )


def test_birth_clouds_dim_the_young_alone(ssp):
    fixed = {"dust2": 0.0, "dust_index": -0.7}
    spectra = SpectrumEngine(ssp, settings=ModelConfig(dust="charlot_fall", priors=fixed))
    clouds = {"logzsol": ONE["logzsol"], "log_tau": ONE["log_tau"]}
    young = {**clouds, "log_age": np.array([-2.1])}  # 8 Myr: all within their clouds
    clear = spectra.spectrum({**young, "dust1": np.array([0.0])})[0]
    dusty = spectra.spectrum({**young, "dust1": np.array([1.0])})[0]
    lit = clear > 1e-30
    expected = np.exp(-5500 / spectra.wave[lit])
    # float32 spectra, and next to nothing gets through in the far ultraviolet
    np.testing.assert_allclose(dusty[lit] / clear[lit], expected, rtol=1e-6, atol=1e-9)


def test_gas_takes_ionising_light_and_gives_lines(ssp):
    with_gas, stars = (
        SpectrumEngine(ssp, settings=ModelConfig(nebular=nebular)) for nebular in (True, False)
    )
    parameters = _drawn(ssp, ModelConfig(), 5, dust2=0.0)
    lines, bare = with_gas.spectrum(parameters), stars.spectrum(parameters)
    ionising, optical = with_gas.wave < 911, with_gas.wave > 912
    assert np.all(lines[:, ionising].sum(axis=1) < bare[:, ionising].sum(axis=1))
    assert np.all(lines[:, optical] >= bare[:, optical] * (1 - 1e-6))
    halpha = np.abs(with_gas.wave - 6564.6).argmin()
    young = parameters["log_age"] < parameters["log_tau"]
    assert np.any(young)
    assert np.all(lines[young, halpha] > 1.05 * bare[young, halpha])


@pytest.mark.parametrize("sfh", ["tau", "continuity"])
def test_components_add_up(ssp, sfh):
    settings = ModelConfig(sfh=sfh, **ALL)
    spectra = SpectrumEngine(ssp, settings=settings, redshift=0.3)
    parameters = _drawn(ssp, settings, 40)
    parts = spectra.components(parameters)
    assert set(parts) == {"stellar", "nebular", "dust", "agn"}
    total = spectra.spectrum(parameters)
    np.testing.assert_allclose(sum(parts.values()), total, rtol=1e-5, atol=1e-30)


def test_torus_shines_by_its_share(ssp):
    settings = ModelConfig(agn=True, nebular=False)
    spectra = SpectrumEngine(ssp, settings=settings)
    parameters = {**ONE, "log_fagn": np.array([-0.5]), "log_tauagn": np.array([1.0])}
    parts = spectra.components(parameters)
    widths = np.diff(ssp["wave_edges"].values)
    share = parts["agn"][0] @ widths / (parts["stellar"][0] @ widths)
    assert share == pytest.approx(10**-0.5, rel=1e-3)


@given(redshift=st.floats(0.01, 9))
def test_redshifting_conserves_luminosity(redshift):
    ssp = synthetic_ssp(n_wave=300)
    settings = ModelConfig(igm="none")
    young = {**ONE, "log_age": np.array([-0.5])}
    rest = SpectrumEngine(ssp, settings=settings, redshift=redshift)
    seen = SpectrumEngine(ssp, settings=settings, redshift=redshift, frame="observed")
    luminosity = rest.spectrum(young)[0] @ np.diff(rest.wave_edges)
    flux = seen.spectrum(young)[0].astype(float) @ np.diff(seen.wave_edges)
    distance = luminosity_distance(settings, redshift=redshift) * 3.0856775814913673e24
    # float32 spectra
    assert flux * 4 * np.pi * distance**2 / 3.828e33 == pytest.approx(luminosity, rel=1e-5)


def test_mass_scales_out_of_resolution(ssp):
    """Coarse bins hold the mean of the fine ones; smoothing keeps a line's energy."""
    settings = ModelConfig(**ALL)
    parameters = _drawn(ssp, settings, 3)
    fine = SpectrumEngine(ssp, settings=settings, redshift=0.3)
    edges = ssp["wave_edges"].values[600:1401:8]
    coarse = SpectrumEngine(ssp, settings=settings, redshift=0.3, wave_edges=edges)
    widths = np.diff(ssp["wave_edges"].values[600:1401])
    energy = (fine.spectrum(parameters)[:, 600:1400] * widths).reshape(3, -1, 8).sum(axis=2)
    # attenuation varies within a coarse bin
    np.testing.assert_allclose(coarse.spectrum(parameters), energy / np.diff(edges), rtol=5e-3)


def test_a_line_is_as_wide_as_told(ssp):
    settings = ModelConfig(priors={"dust2": 0.0})
    edges = np.linspace(6000, 7200, 2401)
    young = {**ONE, "log_age": np.array([-2.0])}
    young.pop("dust2")
    lsf = np.array([5000.0, 9000.0]), np.array([3.0, 3.0])
    spectra = SpectrumEngine(
        ssp, settings=settings, redshift=0.02, frame="observed", wave_edges=edges,
        velocity=200.0, lsf=lsf,
    )  # fmt: skip
    got = spectra.spectrum(young)[0].astype(float)
    line = 6564.6 * 1.02
    got -= np.interp(spectra.wave, [6300, 7000], got[[600, 2000]])
    inside = np.abs(spectra.wave - line) < 60
    flux = np.where(inside, got, 0)
    centre = flux @ spectra.wave / flux.sum()
    width = np.sqrt(flux @ (spectra.wave - centre) ** 2 / flux.sum())
    # the line's own bin is 52 Angstrom wide at this resolution of the populations
    own = np.diff(ssp["wave_edges"].values)[np.searchsorted(ssp["wave_edges"].values, 6564.6) - 1]
    expected = np.sqrt(3**2 + (line * 200 / 299792.458) ** 2 + (own * 1.02) ** 2 / 12)
    assert width == pytest.approx(expected, rel=0.03)


def test_observed_spectra_need_a_redshift(ssp):
    with pytest.raises(ConfigError, match="need a redshift"):
        SpectrumEngine(ssp, settings=ModelConfig(), frame="observed")
