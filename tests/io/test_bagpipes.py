"""The BC03 product; most tests need bagpipes, whose grids it is made of."""

from importlib.util import find_spec

import numpy as np
import pytest
from astropy.io import fits

from pxdask.core.config import ModelConfig
from pxdask.core.errors import ConfigError
from pxdask.core.schema import SSP
from pxdask.io import bagpipes
from pxdask.io.filters import load_filters
from pxdask.io.stores import read
from pxdask.kernels.bandpass import bin_weights
from pxdask.kernels.spectra import rebin
from pxdask.sps import PhotometryEngine

LSUN_ERG_S, HC = 3.828e33, 1.98644586e-8
"""Solar luminosity [erg s-1]; Planck's constant times c [erg Angstrom]."""
BANDS = (
    *("galex_fuv", "galex_nuv", "2mass_j", "2mass_h", "2mass_k", "wise_w1", "wise_w2"),
    *(f"sdss_{band}" for band in "ugriz"),
    *(f"jwst_f{band}w" for band in ("090", "115", "150", "200", "277", "356", "444")),
)


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Cache folder with the product in it."""
    if find_spec("bagpipes") is None:
        pytest.skip('bagpipes is not installed: pip install "pxdask[bc03]"')
    folder = tmp_path_factory.mktemp("cache")
    bagpipes.bc03_product(folder)
    return folder


@pytest.fixture(scope="session")
def product(cache):
    return read(bagpipes.bc03_product(cache))


def test_product_is_valid_small_and_made_once(cache):
    path = bagpipes.bc03_product(cache)
    before = path.stat().st_mtime_ns
    assert bagpipes.bc03_product(cache) == path
    assert path.stat().st_mtime_ns == before
    assert path.stat().st_size < 10e6
    ds = SSP.validate(read(path))
    assert ds.sizes["age"] == 107
    assert (ds.attrs["imf"], ds.attrs["library"]) == ("Kroupa", "BC03 (2016), MILES")


def test_product_holds_no_impossible_values(product):
    for name in ("flux", "nebular"):
        assert np.all(np.isfinite(product[name].values))
        assert np.all(product[name].values >= 0)
    assert np.all(np.diff(product["wave_edges"].values) > 0)
    surviving = product["surviving"].values
    assert np.all((surviving > 0.2) & (surviving <= 1))
    # 10 Gyr, solar: 0.46 in living stars; the turn-off is then at 1.09 Msun, and the IMF
    # above it leaves 0.1375 in remnants (integrals of power laws, by hand)
    assert surviving[4, 100] == pytest.approx(0.4595 + 0.1375, abs=1e-3)


def test_stellar_lines_are_at_their_vacuum_wavelengths(product):
    wave = product["wave"].values
    flux = product["flux"].values[4, 70].astype(float)  # 300 Myr: strong Balmer lines
    for line in (4102.89, 4341.68, 4862.68, 6564.61):
        near = np.abs(wave - line) < 10
        ends = np.interp(wave[near], wave[near][[0, -1]], flux[near][[0, -1]])
        depth = np.clip(ends - flux[near], 0, None)
        # blends shift centroids by 0.7 Angstrom; air wavelengths would by 1.2-1.8 more
        assert np.sum(wave[near] * depth) / np.sum(depth) == pytest.approx(line, abs=0.9)


def test_gas_recombines_as_often_as_stars_ionise(product):
    # case B: L(H beta) = 4.76e-13 erg per ionising photon; H alpha / H beta = 2.8
    edges, width = product["wave_edges"].values, np.diff(product["wave_edges"].values)
    wave, age = product["wave"].values, product["log_age"].values
    stars = product["flux"].values[4, np.abs(age - 6.4).argmin()].astype(float)
    photons = np.sum((stars * width * wave)[wave < 911.75]) * LSUN_ERG_S / HC
    young = np.abs(product["log_age_young"].values - 6.4).argmin()
    gas = product["nebular"].values[2, 4, young].astype(float)

    def line(at):
        where = np.searchsorted(edges, at) - 1
        base = (gas[where - 3] + gas[where + 3]) / 2
        return (gas[where] - base) * width[where] * LSUN_ERG_S

    assert line(4862.68) == pytest.approx(4.76e-13 * photons, rel=0.06)
    assert line(6564.6) / line(4862.68) == pytest.approx(2.81, abs=0.05)


def test_compact_ages_keep_the_light_of_smooth_histories():
    old = np.linspace(5, 10.3, 221)
    new = np.round(np.arange(107) * 0.05 + 5, 2)
    matrix = bagpipes._age_projection(old, new)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-9)
    # a bump 0.02 dex wide, as of supergiants, lit by constant star formation
    bump = 1 + 5 * np.exp(-0.5 * ((old - 6.93) / 0.02) ** 2)
    point = np.linspace(5, 10.3, 200001)
    time = 10**point
    light = np.trapezoid(np.interp(point, old, bump) * time, time)
    kept = np.trapezoid(np.interp(point, new, matrix @ bump) * time, time)
    assert kept == pytest.approx(light, rel=1e-6)


def test_compact_spectra_keep_photometry(product):
    """Filters on the library's own samples against filters on the product's bins."""
    with fits.open(bagpipes._grid_folder() / bagpipes.STELLAR) as hdus:
        wave = bagpipes._to_vacuum(np.asarray(hdus["WAVELENGTHS_AA"].data, float))
        age = np.asarray(hdus["STELLAR_AGE_YR"].data, float)[1:]
        share = bagpipes._age_projection(np.log10(age), product["log_age"].values)
        native = share[60::5] @ np.asarray(hdus[5].data[1:], float)
    fine = np.concatenate([[wave[0]], (wave[1:] + wave[:-1]) / 2, [wave[-1]]])
    fine = np.unique(np.concatenate([np.geomspace(91, 1e6, 60000), fine[1:-1]]))
    fine = fine[(fine >= 91) & (fine <= 1e6)]
    sampled = rebin(wave, native, fine)
    compact = product["flux"].values[4, 60::5].astype(float)
    for redshift in (0.02, 0.5, 1.0):
        for band in load_filters(BANDS):
            exact = sampled @ bin_weights(band, fine * (1 + redshift))
            got = compact @ bin_weights(band, product["wave_edges"].values * (1 + redshift))
            # bins of R = 150 cut by filter edges: 0.3 per cent for old stars in the
            # ultraviolet, a tenth of that elsewhere
            np.testing.assert_allclose(got, exact, rtol=4e-3)


@pytest.mark.parametrize("redshift", [0.02, 0.5, 3.75])
def test_fast_photometry_is_exact_to_a_tenth_of_a_per_cent(product, redshift):
    engine = PhotometryEngine(
        product, load_filters(BANDS), redshift=redshift, settings=ModelConfig()
    )
    rng = np.random.default_rng(2)
    parameters = {
        "log_age": rng.uniform(-1, 0.2, 300),
        "log_tau": rng.uniform(-1, 1.5, 300),
        "logzsol": rng.uniform(-2.2, 0.6, 300),
        "dust2": rng.uniform(0, 4, 300),
    }
    exact = engine.exact_flux(parameters)
    clear = engine.exact_flux({**parameters, "dust2": np.zeros(300)})
    error = np.abs(engine.flux(parameters) / exact - 1)
    attenuated = -2.5 * np.log10(exact / clear)
    assert np.max(error[attenuated < 5]) < 1e-3


def test_absence_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(bagpipes, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r'pip install "pxdask\[bc03\]"'):
        bagpipes.bc03_product(tmp_path)


def test_missing_grids_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read .*No such file"):
        bagpipes.convert_bc03(tmp_path)


def test_rounding_keeps_nine_bits():
    flux = np.array([0.0, -1e-9, 1e-31, 1.0, np.pi, 1.2345e-7, 1 + 2**-9, 1 + 2**-10])
    got = bagpipes._rounded(flux)
    np.testing.assert_array_equal(got[:4], [0, 0, 0, 1])
    np.testing.assert_allclose(got[3:], flux[3:], rtol=2**-10)
    assert got[6] == 1 + 2**-9
    assert got[7] == 1  # a tie goes to the even side
    assert np.all(got.view(np.uint32) & ((1 << 14) - 1) == 0)
