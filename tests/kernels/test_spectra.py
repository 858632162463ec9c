"""Spectra on bins and the photometry kernel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.sfh import SFH_KINDS, age_quadrature, age_weights
from pxdask.kernels.spectra import (
    BandColumns,
    CompositeModels,
    air_to_vacuum,
    composite_fluxes,
    interpolation_columns,
    rebin,
)


def test_lines_in_air_and_vacuum():
    # NIST: H alpha, H beta, [O III]
    air = np.array([6562.79, 4861.35, 5006.843])
    np.testing.assert_allclose(air_to_vacuum(air), [6564.60, 4862.71, 5008.240], atol=0.01)


def test_rebinning_a_ramp_gives_bin_centres():
    wave = np.linspace(0, 10, 7)
    edges = np.array([1.0, 1.5, 4.0, 9.0])
    np.testing.assert_allclose(rebin(wave, 2 * wave, edges), [2.5, 5.5, 13.0], rtol=1e-14)


@given(seed=st.integers(0, 10**6), n_bin=st.integers(1, 60))
def test_rebinning_keeps_energy(seed, n_bin):
    rng = np.random.default_rng(seed)
    wave = np.sort(rng.uniform(1000, 2000, 30))
    flux = rng.uniform(0, 1, (2, 30))
    edges = np.concatenate(
        [wave[:1], np.sort(rng.uniform(wave[0], wave[-1], n_bin - 1)), wave[-1:]]
    )
    energy = np.sum(rebin(wave, flux, edges) * np.diff(edges), axis=1)
    np.testing.assert_allclose(energy, np.trapezoid(flux, wave, axis=1), rtol=1e-11)


def test_interpolation_is_exact_for_polynomials_in_the_log():
    wave, weights = np.geomspace(4000, 5000, 300), np.hanning(300)
    node, projection = interpolation_columns(wave, weights, n_node=6)
    x, x_node = np.log(wave / 4500), np.log(node / 4500)
    np.testing.assert_allclose(projection.sum(axis=1), weights, atol=1e-12)
    for power in range(6):
        # only the wings, 1e-5 of the weight on either side, are not polynomial
        got = np.sum(projection @ x_node**power)
        assert got == pytest.approx(np.sum(weights * x**power), abs=3e-5 * np.sum(weights))


def test_few_wavelengths_are_their_own_nodes():
    wave, weights = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    node, projection = interpolation_columns(wave, weights, n_node=6)
    np.testing.assert_array_equal(node, wave)
    np.testing.assert_array_equal(projection, np.diag(weights))


@pytest.mark.parametrize("sfh", sorted(SFH_KINDS))
def test_kernel_equals_the_sum_it_stands_for(sfh):
    rng = np.random.default_rng(3)
    n_model, n_met, n_age, n_column = 20, 4, 30, 7
    quadrature = age_quadrature(np.linspace(6, 10.2, n_age))
    columns = BandColumns(
        rng.uniform(0, 1, (n_met, n_age, n_column)).astype(np.float32),
        rng.uniform(0, 3, n_column),
        np.array([0, 3, 3, 7]),
    )
    models = CompositeModels(
        age=10 ** rng.uniform(-3, 1.1, n_model),
        shape=10 ** rng.uniform(-1, 1, (n_model, 1)),
        metallicity=np.append(rng.uniform(0, n_met - 1, n_model - 2), [0.0, n_met - 1.0]),
        depth=rng.uniform(0, 3, n_model),
    )
    out = np.empty((n_model, 3), np.float32)
    composite_fluxes(SFH_KINDS[sfh], models, quadrature, columns, out)
    weights = age_weights(sfh, models.age, models.shape, quadrature=quadrature)
    for i in range(n_model):
        low = min(int(models.metallicity[i]), n_met - 2)
        f = models.metallicity[i] - low
        seen = weights[i] @ (columns.flux[low] * (1 - f) + columns.flux[low + 1] * f)
        seen = seen * np.exp(-models.depth[i] * columns.law)
        expected = [seen[:3].sum(), 0.0, seen[3:].sum()]
        np.testing.assert_allclose(out[i], expected, rtol=3e-6)  # float32 sums of 200 terms
