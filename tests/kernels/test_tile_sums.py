import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from pxdask.kernels.rdsps import make_search
from pxdask.kernels.tile_sums import TILE, fill_tiles, make_tiles, tile_products, tile_sums


@njit
def sums(tiles, t, seds, i, lack, out):
    return tile_sums(tiles, t, seds.data, seds.inverse, seds.band, i, seds.n_slot[i], lack, out)


@njit
def products(tiles, t, seds, i, per_dof, most, of_bands, out):
    return tile_products(
        *(tiles, t, seds.data, seds.inverse, seds.band, i, seds.n_slot[i]),
        *(per_dof, most, of_bands, out),
    )


def bits(near):
    """Which models an integer's bits tell of."""
    return np.array([bool((int(near) >> j) & 1) for j in range(TILE)])


def tiles_of(models):
    n_band, n_model = models.shape
    tiles = make_tiles(-(-n_model // TILE), n_band)
    fill_tiles(models, 0, n_model, tiles)
    return tiles


def test_two_bands_by_hand():
    # flux over error 4 and 3; least error 0.5: models in units of error 2 and 1 are m and m / 2
    seds = make_search(np.array([[2.0, 3.0]]), np.array([[0.5, 1.0]]), unit_flux=1.0)
    models = np.zeros((2, TILE), np.float32)
    models[:, :3] = [[1, 2, -1], [2, 0, 0]]
    out = np.full((2, TILE), np.nan, np.float32)
    near = sums(tiles_of(models), 0, seds, 0, np.float32(20), out)
    np.testing.assert_array_equal(out[:, :3], [[7, 8, -4], [2, 4, 1]])
    # 49 >= 20 * 2; 64 < 20 * 4; 16 < 20 * 1; dark models are not known
    np.testing.assert_array_equal(bits(near)[:4], [True, False, False, True])
    product = np.empty(TILE, np.float32)
    near = products(tiles_of(models), 0, seds, 0, np.float32(0.5), np.float32(6), out, product)
    # amplitudes 7 / 2, 2, 0: residuals (1/2, -1/2), (0, 3), (4, 3)
    np.testing.assert_array_equal(product[:3], [1.125**2, 5.5, 9 * 5.5])
    np.testing.assert_array_equal(bits(near)[:4], [True, True, False, True])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 17), st.integers(1, 3))
def test_sums_are_those_of_double_precision_and_near_ones_are_told(seed, n_band, n_tile):
    rng = np.random.default_rng(seed)
    models = np.exp(0.5 * rng.normal(size=(n_band, n_tile * TILE))).astype(np.float32)
    flux, error = rng.normal(3.0, 1.0, (2, n_band)), rng.uniform(0.2, 1.0, (2, n_band))
    error[0, rng.integers(n_band)] = np.nan  # a band that is left out
    seds = make_search(flux, error, unit_flux=1.0)
    out, tiles = np.empty((2, n_tile * TILE), np.float32), tiles_of(models)
    product = np.empty(n_tile * TILE, np.float32)
    for i in range(2):
        used = np.isfinite(error[i])
        unit = seds.unit[i] / error[i, used, None]
        y, x = models[used].astype(float) * unit, flux[i, used] / error[i, used]
        cross, square = x @ y, np.sum(y**2, axis=0)
        lack = np.float32(np.median(cross**2 / square)) if used.any() else np.float32(1)
        for t in range(n_tile):
            near = sums(tiles, t, seds, i, lack, out)
            part = slice(t * TILE, (t + 1) * TILE)
            a, d = out[:, part].astype(float)
            doubtful = np.abs(a**2 - lack * d) < 1e-5 * lack * d
            want = (a**2 >= lack * d) | (d == 0)
            assert np.all((bits(near) == want) | doubtful)
            near = products(tiles, t, seds, i, np.float32(0.5), np.float32(100), out, product)
            if used.any():
                residual = x[:, None] - np.maximum(cross, 0)[part] / square[part] * y[:, part]
                terms = np.prod(1 + residual**2 / 2, axis=0)
                np.testing.assert_allclose(product[part], terms, rtol=1e-4)
                assert np.all((bits(near) == (terms <= 100)) | (np.abs(terms - 100) < 0.01))
        # some ten terms of single precision, which may cancel
        np.testing.assert_allclose(out[0], cross, rtol=1e-5, atol=1e-5 * np.sqrt(square.max()))
        np.testing.assert_allclose(out[1], square, rtol=1e-5)


def test_no_bands_and_products_beyond_single_precision():
    none = make_search(np.full((1, 2), np.nan), np.ones((1, 2)), unit_flux=1.0)
    out, product = np.ones((2, TILE), np.float32), np.zeros(TILE, np.float32)
    tiles = tiles_of(np.ones((2, TILE), np.float32))
    assert bits(sums(tiles, 0, none, 0, np.float32(1), out)).all()  # none is known
    np.testing.assert_array_equal(out, 0)
    bright = make_search(np.array([[1e12, -1e12]]), np.ones((1, 2)), unit_flux=1.0)
    sums(tiles, 0, bright, 0, np.float32(1), out)
    near = products(tiles, 0, bright, 0, np.float32(1), np.float32(1e38), out, product)
    assert np.all(np.isinf(product))
    assert not bits(near).any()


@pytest.mark.parametrize("n", [1, 63, 64, 130])
def test_tiles_hold_models_of_any_layout(n):
    models = np.arange(3 * 200, dtype=np.float32).reshape(3, 200)
    for layout in (models, np.asfortranarray(models), models[::-1]):
        tiles = make_tiles(3, 3)
        fill_tiles(layout, 20, n, tiles)
        got = tiles.transpose(1, 0, 2).reshape(3, -1)
        np.testing.assert_array_equal(got[:, :n], layout[:, 20 : 20 + n])
        assert not got[:, n:].any()
