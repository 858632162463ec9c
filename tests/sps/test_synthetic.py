"""The made-up populations."""

import numpy as np
import pytest

from pxdask.core.schema import SSP
from pxdask.sps.synthetic import synthetic_ssp

ERG_LSUN, RYDBERG = 1 / 3.828e33, 2.17987e-11
"""Solar luminosities per erg / s; energy that ionises hydrogen [erg]."""


@pytest.fixture(scope="module")
def ssp():
    return synthetic_ssp()


@pytest.fixture(scope="module")
def width(ssp):
    return np.diff(ssp["wave_edges"].values)


def test_synthetic_populations_are_valid_and_say_what_they_are(ssp):
    assert SSP.validate(ssp).attrs["library"] == "synthetic"
    assert dict(ssp.sizes)["wave"] == 300
    assert ssp.nbytes < 1e6
    for name, variable in ssp.data_vars.items():
        assert np.all(np.isfinite(variable.values)), name
    for name in ("flux", "nebular", "dust", "torus", "ionising"):
        assert np.all(ssp[name].values >= 0)
        assert np.any(ssp[name].values > 0)


def test_they_fade_and_redden_with_age(ssp, width):
    light = np.sum(ssp["flux"].values.astype(float) * width, axis=-1)
    np.testing.assert_allclose(ssp["luminosity"].values, light, rtol=1e-5)  # of float32 sums
    old = ssp["log_age"].values > 6
    assert np.all(np.diff(light[:, old], axis=1) < 0)
    colour = ssp["flux"].sel(wave=3600, method="nearest") / ssp["flux"].sel(
        wave=9000, method="nearest"
    )
    assert np.all(np.diff(colour.values[:, old], axis=1) < 0)


def test_the_gas_gives_back_less_than_it_takes_up(ssp, width):
    # of each ionising photon, and with it of the ionising light of every population
    per_photon = np.max(np.sum(ssp["nebular"].values * width, axis=-1)) * 1e-46 / ERG_LSUN
    assert 0.5 * RYDBERG < per_photon < RYDBERG
    ionising = ssp["flux"].values[..., ssp["wave"].values < 911.753]
    taken = np.sum(ionising * width[: ionising.shape[-1]], axis=-1)
    given = per_photon * 1e46 * ERG_LSUN * ssp["ionising"].values
    assert np.all(given < taken)


@pytest.mark.parametrize("axis", ["log_u", "gas", "young"])
def test_nebulae_differ_along_every_axis(ssp, axis):
    first, last = ssp["nebular"].isel({axis: 0}), ssp["nebular"].isel({axis: -1})
    assert np.max(np.abs(first / last - 1)) > 0.1


def test_dust_shines_in_proportion_to_its_starlight(ssp, width):
    power, u = ssp["dust_power"].values, ssp["u_min"].values
    np.testing.assert_allclose(power[0], np.tile(137 * u, (3, 1)), rtol=1e-6)
    # a power law of slope 2 from 1 to 1e6 has a mean of ln(1e6); so, nearly, from 0.5 and 2
    np.testing.assert_allclose(power[1, 0, 2], 137 * 2 * np.log(5e5), rtol=1e-5)
    emitted = np.sum(ssp["dust"].values.astype(float) * width, axis=-1)
    np.testing.assert_allclose(emitted, power, rtol=1e-5)
    peak = ssp["wave"].values[np.argmax(ssp["dust"].values * ssp["wave"].values, axis=-1)]
    assert np.all(np.diff(peak[0, 0]) < 0)  # warmer in more starlight
    assert np.all(peak[0, 0] > peak[1, 0])
    assert 1.3e6 < peak[0, 0, 1] < 2.0e6  # a grey body of 16 K: 0.29 cm K / T / (1 + 2 / 5)
    near = np.abs(ssp["wave"].values - 7.7e4).argmin()
    assert np.all(np.diff(ssp["dust"].values[0, :, 2, near]) > 0)  # more PAHs, more of their light
    assert np.all(ssp["dust"].values[..., ssp["wave"].values < 1e4] < 1e-9)


def test_tori_are_of_unit_luminosity_and_cooler_the_deeper(ssp, width):
    torus = ssp["torus"].values.astype(float)
    np.testing.assert_allclose(np.sum(torus * width, axis=-1), 1, rtol=1e-6)
    mean = np.sum(torus * width * np.log(ssp["wave"].values), axis=-1)
    assert np.all(np.diff(mean) > 0)
