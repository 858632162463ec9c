"""The SSP product of an installed FSPS."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError
from pxdask.core.schema import SSP
from pxdask.sps.fsps.extract import _rounded, extract_ssp, finer, midpoints, product_settings
from pxdask.sps.fsps.worker import photons
from tests.sps.fsps.made_up_home import FEH, GAS, HYDROGEN, LOG_U, LSUN, TAU_AGN, U_MIN, WAVE
from tests.sps.fsps.shared import STEPS


def test_the_product_is_one_of_its_schema(product):
    SSP.validate(product)
    np.testing.assert_allclose(product["log_z"], FEH, atol=1e-7)
    np.testing.assert_allclose(product["wave"], WAVE, rtol=1e-7)
    np.testing.assert_allclose(product["log_age"], np.arange(107) * 0.05 + 5, atol=1e-9)
    np.testing.assert_allclose(product["log_u"], LOG_U)
    np.testing.assert_allclose(product["log_zgas"], GAS)
    np.testing.assert_allclose(product["u_min"], U_MIN)
    np.testing.assert_allclose(product["tau_agn"], TAU_AGN)
    for name in product.variables:
        assert np.all(np.isfinite(product[name])), name


def test_provenance(product):
    attrs = product.attrs
    assert attrs["library"] == "MIST, C3K_LR, DL07"
    assert attrs["imf"] == "Chabrier (2003)"
    assert attrs["fsps"].startswith("0.5")
    assert json.loads(attrs["options"]) == {}
    assert attrs["solar_metallicity"] == pytest.approx(0.0185)
    assert len(attrs["key"]) == 16


def test_spectra_carry_the_luminosity(product):
    """Bolometric luminosities come from isochrones, spectra from the library, to 3 per cent."""
    width = np.diff(product["wave_edges"].values)
    total = product["flux"].values.astype(float) @ width
    np.testing.assert_allclose(total, product["luminosity"], rtol=0.03)


def test_lines_have_the_light_that_case_b_gives_them(product):
    """H alpha of the file [Lsun per photon] is in the product, per 1e46 photons, within 2 %.

    The line is a Gaussian less than a bin wide in sigma, and the continuum is taken off.
    """
    wave, width = product["wave"].values, np.diff(product["wave_edges"].values)
    near = np.abs(wave - 6564.6) < 100
    for index in ((0, 0, 0), (6, 10, 33), (3, 8, 20)):
        spectrum = product["nebular"].values[index].astype(float)
        continuum = np.interp(wave[near], wave[near][[0, -1]], spectrum[near][[0, -1]])
        line = np.sum((spectrum[near] - continuum) * width[near])
        # nitrogen beside it differs with gas: it lies within 21 Angstrom and is taken off too
        u, z, age = (
            float(product[name].values[i])
            for name, i in zip(("log_u", "log_zgas", "log_age_young"), index, strict=True)
        )
        metals = _metals(u, z, age)
        expected = (HYDROGEN[6564.6] + metals) * 4.76e-13 / LSUN * 1e46
        assert line == pytest.approx(expected, rel=0.02)


def _metals(log_u, log_z, log_age):
    hard = 1 - 0.3 * (np.clip(log_age, np.log10(0.5e6), None) - 6)
    return 0.8 * hard * 10 ** (-0.2 * (log_u + 2.5) - 0.8 * (log_z + 0.3) ** 2)


def test_nebulae_reach_to_20_myr(product):
    nodes = product["log_age_young"].values
    assert nodes[0] <= np.log10(5e5) < nodes[1]
    assert nodes[-1] == pytest.approx(7.3)


def test_dust_emits_in_proportion_to_starlight(product):
    """137 Lsun per Msun and unit of starlight, as the made-up files say."""
    power = product["dust_power"].values
    u_min = np.array(U_MIN)
    np.testing.assert_allclose(power[0], np.broadcast_to(137 * u_min, power[0].shape), rtol=5e-3)
    mean = np.log(1e6 / u_min) / (1 / u_min - 1e-6)
    np.testing.assert_allclose(power[1], np.broadcast_to(137 * mean, power[1].shape), rtol=5e-3)


def test_tori_have_unit_luminosity(product):
    width = np.diff(product["wave_edges"].values)
    total = product["torus"].values.astype(float) @ width
    np.testing.assert_allclose(total, 1.0, rtol=1e-2)  # the table has 125 wavelengths


def test_imf_and_options_reach_fsps(home, product):
    """A bottom-heavy IMF has less light and keeps more of its mass."""
    salpeter = extract_ssp(home, imf_type=0, options={"imf_upper_limit": 100.0}, **STEPS)
    assert salpeter.attrs["imf"] == "Salpeter (1955)"
    assert json.loads(salpeter.attrs["options"]) == {"imf_upper_limit": 100.0}
    assert salpeter.attrs["key"] != product.attrs["key"]
    assert np.all(salpeter["luminosity"] < product["luminosity"])
    assert np.all(salpeter["surviving"][:, 60:] > product["surviving"][:, 60:])


def test_settings_name_what_a_product_depends_on(home):
    first = product_settings(home)
    assert first == product_settings(home)
    assert first != product_settings(home, options={"fbhb": 0.2})
    assert first != product_settings(home, imf_type=2)
    assert first["sps_home_revision"] == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"imf_type": 9}, "imf_type = 9 is none of FSPS's: 0 salpeter"),
        ({"options": {"dust2": 1.0, "sfh": 1}}, "dust2, sfh: not options of simple populations"),
        ({"options": {"fbhb": "much"}}, "option fbhb = 'much': FSPS takes numbers"),
        ({"log_u_step": 0.0}, "log_u_step = 0.0, gas_step = 0.125: must be positive"),
    ],
)
def test_arguments_are_checked_before_fsps_starts(home, arguments, said):
    with pytest.raises(ConfigError, match=said):
        product_settings(home, **arguments)


def test_a_tabulated_imf_needs_its_file(home, tmp_path):
    for folder in home.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    (tmp_path / "data").unlink()
    (tmp_path / "data").mkdir()
    for path in (home / "data").iterdir():
        if path.name != "imf.dat":
            (tmp_path / "data" / path.name).symlink_to(path)
    with pytest.raises(ConfigError, match=r"needs .*data/imf\.dat"):
        product_settings(tmp_path, imf_type=5)
    assert product_settings(home, imf_type=5)["imf_type"] == 5


def test_photons_of_a_flat_spectrum():
    """Flat in frequency between nu1 and nu2: ln(nu2 / nu1) / h, with FSPS's constants."""
    wave = np.geomspace(100.0, 2000.0, 20000)
    counted = photons(wave, np.ones(wave.size))
    expected = np.log(912.0 / 100.0) / 6.6261e-27 * 3.839e33
    assert counted == pytest.approx(expected, rel=2e-4)  # up to one step short of the limit


@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=8, unique=True).map(sorted).map(np.array),
    st.floats(0.05, 3.0),
)
def test_finer_nodes_keep_the_old_ones(nodes, step):
    found = finer(nodes, step)
    assert np.all(np.isin(nodes, found))
    assert np.all(np.diff(found) <= step * (1 + 1e-6))
    assert np.all(np.diff(found) > 0)


def test_midpoints_by_hand():
    np.testing.assert_allclose(midpoints(np.array([1.0, 2.0, 4.0])), [0.5, 1.5, 3.0, 5.0])


@given(st.floats(1e-29, 1e30))
def test_rounding_is_to_one_part_in_65000(value):
    assert abs(float(_rounded(np.array([value]))[0]) / value - 1) <= 2**-16 * (1 + 1e-6)


def test_rounding_of_nothing():
    assert _rounded(np.array([0.0, 1e-40])).tolist() == [0.0, 0.0]
