"""Vector instructions that numba's compiler does not find by itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

N_TOGETHER = 16
"""Numbers that are added together: a wide vector register of single precision."""

_SINGLE = ir.VectorType(ir.FloatType(), N_TOGETHER)
_LINE = 64
"""Bytes of a line of the cache."""


def aligned(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return zeros whose first one starts a line of the cache, so that no row lies in two."""
    size = math.prod(shape)
    memory = np.zeros(size + _LINE // 4, np.float32)
    first = -memory.ctypes.data % _LINE // 4
    return memory[first : first + size].reshape(shape)


@intrinsic
def _add_row(
    context: object, sums: types.Type, row: types.Type, terms: types.Type, at: types.Type
) -> tuple[object, Callable[..., Any]]:
    """Add ``terms[at]`` to ``sums[row]``.

    Parameters
    ----------
    sums : (n_row, `N_TOGETHER`) float32
        C-contiguous.
    row : int64
        Not checked against the ends of ``sums``.
    terms : (n_term, `N_TOGETHER`) float32
        C-contiguous.
    at : int64
        Not checked either.

    Notes
    -----
    An intrinsic of numba: called from compiled functions, with LLVM's types of the arguments.
    """
    del context
    for array in (sums, terms):
        if array != types.Array(types.float32, 2, "C"):
            raise TypeError(f"add_row takes C-contiguous arrays of float32, found {array}")

    def generate(target: Any, builder: Any, signature: Any, given: Any) -> object:  # noqa: ANN401  numba's own types are not annotated
        def place(k: int) -> object:
            array = target.make_array(signature.args[k])(target, builder, given[k])
            first = builder.mul(given[k + 1], ir.Constant(ir.IntType(64), N_TOGETHER))
            return builder.bitcast(builder.gep(array.data, [first]), _SINGLE.as_pointer())

        of_sums, of_terms = place(0), place(2)
        before, added = builder.load(of_sums, align=4), builder.load(of_terms, align=4)
        builder.store(builder.fadd(before, added), of_sums, align=4)
        return target.get_dummy_value()

    return types.none(sums, row, terms, at), generate


add_row: Callable[..., None] = _add_row
"""`_add_row`, with the types that compiled functions see."""


@intrinsic
def _lay_beside(
    context: object, rows: types.Type, start: types.Type, columns: types.Type
) -> tuple[object, Callable[..., Any]]:
    """Copy ``rows[:, start : start + N_TOGETHER]`` to ``columns[start : start + N_TOGETHER]``.

    Parameters
    ----------
    rows : (`N_TOGETHER`, n) float32
        C-contiguous.
    start : int64
        Not checked against the ends of either.
    columns : (n, `N_TOGETHER`) float32
        C-contiguous; filled with the transpose.

    Notes
    -----
    A row's number goes through four rounds of interleaving, each of which moves one bit of it
    into the number of the column.
    """
    del context
    for array in (rows, columns):
        if array != types.Array(types.float32, 2, "C"):
            raise TypeError(f"lay_beside takes C-contiguous arrays of float32, found {array}")

    def generate(target: Any, builder: Any, signature: Any, given: Any) -> object:  # noqa: ANN401  as above
        index = ir.IntType(64)
        of_rows, of_columns = (
            target.make_array(signature.args[k])(target, builder, given[k]) for k in (0, 2)
        )
        length = builder.extract_value(of_rows.shape, 1)

        def place(data: object, first: object) -> object:
            return builder.bitcast(builder.gep(data, [first]), _SINGLE.as_pointer())

        half = N_TOGETHER // 2
        masks = [
            ir.Constant(
                ir.VectorType(ir.IntType(32), N_TOGETHER),
                [first + k // 2 + (k % 2) * N_TOGETHER for k in range(N_TOGETHER)],
            )
            for first in (0, half)
        ]
        vectors = [
            builder.load(
                place(
                    of_rows.data,
                    builder.add(builder.mul(length, ir.Constant(index, k)), given[1]),
                ),
                align=4,
            )
            for k in range(N_TOGETHER)
        ]
        for _ in range(half.bit_length()):
            vectors = [
                builder.shuffle_vector(vectors[k // 2], vectors[k // 2 + half], masks[k % 2])
                for k in range(N_TOGETHER)
            ]
        first = builder.mul(given[1], ir.Constant(index, N_TOGETHER))
        for k, vector in enumerate(vectors):
            at = builder.add(first, ir.Constant(index, k * N_TOGETHER))
            builder.store(vector, place(of_columns.data, at), align=4)
        return target.get_dummy_value()

    return types.none(rows, start, columns), generate


lay_beside: Callable[..., None] = _lay_beside
"""`_lay_beside`, with the types that compiled functions see."""
