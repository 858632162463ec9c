"""One vector instruction that numba's compiler does not find by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

N_TOGETHER = 8
"""Numbers that are added together: a vector register of double precision."""

_SINGLE, _DOUBLE = (ir.VectorType(kind, N_TOGETHER) for kind in (ir.FloatType(), ir.DoubleType()))


@intrinsic
def _add_row(
    context: object, sums: types.Type, row: types.Type, terms: types.Type, at: types.Type
) -> tuple[object, Callable[..., Any]]:
    """Add ``terms[at]`` to ``sums[row]``, as numbers of double precision.

    Parameters
    ----------
    sums : (n_row, `N_TOGETHER`) float64
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
    for array, kind in ((sums, types.float64), (terms, types.float32)):
        if array != types.Array(kind, 2, "C"):
            raise TypeError(f"add_row takes C-contiguous arrays of {kind}, found {array}")

    def generate(target: Any, builder: Any, signature: Any, given: Any) -> object:  # noqa: ANN401  numba's own types are not annotated
        def place(k: int, vector: ir.VectorType) -> object:
            array = target.make_array(signature.args[k])(target, builder, given[k])
            first = builder.mul(given[k + 1], ir.Constant(ir.IntType(64), N_TOGETHER))
            return builder.bitcast(builder.gep(array.data, [first]), vector.as_pointer())

        of_sums = place(0, _DOUBLE)
        added = builder.fpext(builder.load(place(2, _SINGLE), align=4), _DOUBLE)
        total = builder.fadd(builder.load(of_sums, align=8), added)
        builder.store(total, of_sums, align=8)
        return target.get_dummy_value()

    return types.none(sums, row, terms, at), generate


add_row: Callable[..., None] = _add_row
"""`_add_row`, with the types that compiled functions see."""
