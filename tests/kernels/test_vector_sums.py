import numpy as np
import pytest
from numba import njit

from pxdask.kernels.vector_sums import N_TOGETHER, add_row, aligned, lay_beside


@njit
def add_rows(sums, rows, terms):
    for at in range(rows.size):
        add_row(sums, rows[at], terms, np.int64(at))


@njit
def transposed(rows, columns):
    for start in range(0, rows.shape[1], N_TOGETHER):
        lay_beside(rows, np.int64(start), columns)


def test_rows_are_added_to_their_sums():
    rng = np.random.default_rng(1)
    terms = rng.normal(size=(40, N_TOGETHER)).astype(np.float32)
    rows = rng.integers(0, 5, 40)
    sums = aligned((5, N_TOGETHER))
    add_rows(sums, rows, terms)
    want = [terms[rows == k].sum(axis=0, dtype=np.float64) for k in range(5)]
    np.testing.assert_allclose(sums, want, atol=1e-5)  # some ten numbers near one each


@pytest.mark.parametrize("n_block", [1, 2, 5])
def test_numbers_of_rows_are_laid_beside_one_another(n_block):
    rows = np.random.default_rng(2).random((N_TOGETHER, n_block * N_TOGETHER), np.float32)
    columns = np.zeros(rows.T.shape, np.float32)
    transposed(rows, columns)
    np.testing.assert_array_equal(columns, rows.T)


def test_memory_starts_a_line_of_the_cache():
    for shape in ((3,), (2, 5), (1, 7, N_TOGETHER)):
        got = aligned(shape)
        assert got.shape == shape
        assert got.flags.c_contiguous
        assert got.ctypes.data % 64 == 0
        assert not got.any()


def test_only_contiguous_single_precision_is_taken():
    wrong = njit(lambda sums, terms: add_row(sums, np.int64(0), terms, np.int64(0)))
    with pytest.raises(TypeError, match="C-contiguous arrays of float32, found"):
        wrong(np.zeros((1, N_TOGETHER)), np.zeros((1, N_TOGETHER)))
    wrong = njit(lambda rows, columns: lay_beside(rows, np.int64(0), columns))
    with pytest.raises(TypeError, match="C-contiguous arrays of float32, found"):
        wrong(np.zeros((N_TOGETHER, N_TOGETHER)), np.zeros((N_TOGETHER, N_TOGETHER)))
