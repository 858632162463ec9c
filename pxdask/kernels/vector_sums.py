"""One vector instruction that numba's compiler does not find by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

N_TOGETHER = 16
"""Numbers that are added together: a wide vector register of single precision."""

_SINGLE = ir.VectorType(ir.FloatType(), N_TOGETHER)


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
