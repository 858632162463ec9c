"""Sums over bands of a tile of models, all of which stay in vector registers until they are done.

Numba's compiler keeps sums of an array in memory, and to load and to store them takes longer than
to add to them. So this loop is written in LLVM's own terms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

from pxdask.kernels.vector_sums import N_TOGETHER

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Singles = NDArray[np.float32]

TILE = 64
"""Models of a tile: as many as fill eight vector registers with two sums each."""

FAINT, BRIGHT = np.float32(1e-20), np.float32(1e30)
"""Sums of squares between which nothing under- or overflows; a usual model's is near one."""

_SINGLE = ir.VectorType(ir.FloatType(), N_TOGETHER)
_INDEX = ir.IntType(64)
_FUSED = ("contract",)
_PARTS = range(0, TILE, N_TOGETHER)


def make_tiles(n_tile: int, n_band: int) -> Singles:
    """Return memory for the fluxes of some tiles, (n_tile, n_band, `TILE`)."""
    return np.zeros((n_tile, n_band, TILE), np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def fill_tiles(models: Singles, start: int, n: int, tiles: Singles) -> None:
    """Copy ``n`` models, (n_band, n_model) of any layout, from ``start`` on into tiles.

    What is left of the last tile keeps what it held: sums of it have no meaning.
    """
    for t in range((n + TILE - 1) // TILE):
        first = start + t * TILE
        size = min(TILE, start + n - first)
        for b in range(tiles.shape[1]):
            row, of_tile = models[b, first : first + size], tiles[t, b]
            for j in range(size):
                of_tile[j] = row[j]


@intrinsic
def _tile_sums(  # noqa: PLR0917  LLVM takes numbers and plain arrays, one by one
    context: object,
    tiles: types.Type,
    t: types.Type,
    data: types.Type,
    inverse: types.Type,
    band: types.Type,
    i: types.Type,
    n_slot: types.Type,
    lack: types.Type,
    out: types.Type,
) -> tuple[object, Callable[..., Any]]:
    """Sum one tile against one SED; return which of its models may be near.

    Parameters
    ----------
    tiles : (n_tile, n_band, `TILE`) float32
        C-contiguous, as all arrays; no index is checked against their ends.
    t : int64
        Which tile.
    data, inverse, band : (n_sed, n_slot)
        As of `pxdask.kernels.rdsps.Search`.
    i, n_slot : int64
        Which SED, and its slots.
    lack : float32
        By how much chi-square has to be below that of no model.
    out : (2, n) float32
        Of the models of all tiles; filled with sums of data times model, and of model squared.

    Returns
    -------
    near : uint64
        A bit for each model, the first the lowest: whether ``cross^2 >= lack * square``, or
        ``square`` is not between `FAINT` and `BRIGHT`, or NaN is about.
    """
    del context

    def generate(target: Any, builder: Any, signature: Any, given: Any) -> object:  # noqa: ANN401  numba's own types are not annotated
        def add(x: object, models: list[object], sums: list[object]) -> list[object]:
            terms = [builder.fmul(x, y, flags=_FUSED) for y in models]
            terms += [builder.fmul(y, y, flags=_FUSED) for y in models]
            return [builder.fadd(*each, flags=_FUSED) for each in zip(sums, terms, strict=True)]

        arrays = _opened(target, builder, signature, given)
        first = [_constant(0.0)] * 2 * len(_PARTS)
        sums = _over_bands(builder, arrays[:7], first=first, step=add)
        (lack, out), at = arrays[7:], builder.mul(arrays[1], _count(TILE))
        below = builder.add(at, builder.extract_value(out.shape, 1))
        wanted, near = _spread(builder, lack), []
        for j, a, d in zip(_PARTS, sums[: len(_PARTS)], sums[len(_PARTS) :], strict=True):
            builder.store(a, _vector_at(builder, out.data, at, j), align=4)
            builder.store(d, _vector_at(builder, out.data, below, j), align=4)
            # comparisons that hold of NaN, too
            each = builder.fcmp_unordered(">=", builder.fmul(a, a), builder.fmul(wanted, d))
            near.append(builder.or_(each, _unknown(builder, d)))
        return _bits(builder, near)

    given = (tiles, t, data, inverse, band, i, n_slot, lack, out)
    return types.uint64(*given), generate


tile_sums: Callable[..., int] = _tile_sums
"""`_tile_sums`, with the types that compiled functions see."""


@intrinsic
def _tile_products(  # noqa: PLR0917  as above
    context: object,
    tiles: types.Type,
    t: types.Type,
    data: types.Type,
    inverse: types.Type,
    band: types.Type,
    i: types.Type,
    n_slot: types.Type,
    per_dof: types.Type,
    most: types.Type,
    of_bands: types.Type,
    out: types.Type,
) -> tuple[object, Callable[..., Any]]:
    """Multiply terms of Student's t over bands; return which models of a tile may be near.

    Parameters
    ----------
    tiles, t, data, inverse, band, i, n_slot
        As for `_tile_sums`.
    per_dof : float32
        One over the degrees of freedom.
    most : float32
        What the product of a model that is near is not above.
    of_bands : (2, n) float32
        As `_tile_sums` has filled it.
    out : (n,) float32
        Of the models of all tiles; filled with products of ``1 + residual^2 / dof`` at the best
        amplitude that is not negative; with infinity where they are beyond single precision.

    Returns
    -------
    near : uint64
        As of `_tile_sums`.
    """
    del context

    def generate(target: Any, builder: Any, signature: Any, given: Any) -> object:  # noqa: ANN401  as above
        arrays = _opened(target, builder, signature, given)
        per_dof, most, of_bands, out = arrays[7:]
        at = builder.mul(arrays[1], _count(TILE))
        below = builder.add(at, builder.extract_value(of_bands.shape, 1))
        cross, square = (
            [builder.load(_vector_at(builder, of_bands.data, row, j), align=4) for j in _PARTS]
            for row in (at, below)
        )
        zero, one, each_dof = _constant(0.0), _constant(1.0), _spread(builder, per_dof)
        scales = []
        for a, d in zip(cross, square, strict=True):
            positive = builder.select(builder.fcmp_ordered(">", a, zero), a, zero)
            scales.append(builder.fdiv(positive, d))

        def multiply(x: object, models: list[object], products: list[object]) -> list[object]:
            found = []
            for scale, y, product in zip(scales, models, products, strict=True):
                residual = builder.fsub(x, builder.fmul(scale, y, flags=_FUSED), flags=_FUSED)
                squared = builder.fmul(residual, residual)
                term = builder.fadd(
                    builder.fmul(squared, each_dof, flags=_FUSED), one, flags=_FUSED
                )
                found.append(builder.fmul(product, term))
            return found

        products = _over_bands(builder, arrays[:7], first=[one] * len(_PARTS), step=multiply)
        limit, near = _spread(builder, most), []
        for j, product, d in zip(_PARTS, products, square, strict=True):
            builder.store(product, _vector_at(builder, out.data, at, j), align=4)
            each = builder.fcmp_unordered("<=", product, limit)
            near.append(builder.or_(each, _unknown(builder, d)))
        return _bits(builder, near)

    given = (tiles, t, data, inverse, band, i, n_slot, per_dof, most, of_bands, out)
    return types.uint64(*given), generate


tile_products: Callable[..., int] = _tile_products
"""`_tile_products`, with the types that compiled functions see."""


def _opened(target: Any, builder: Any, signature: Any, given: Any) -> list[Any]:  # noqa: ANN401  as above
    """Return arguments, arrays among them with their memory and shape."""
    return [
        target.make_array(kind)(target, builder, value) if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, given, strict=True)
    ]


def _over_bands(
    builder: Any,  # noqa: ANN401  as above
    given: list[Any],
    *,
    first: list[object],
    step: Callable[[object, list[object], list[object]], list[object]],
) -> list[object]:
    """Build a loop over the bands of an SED; return vectors that went from step to step.

    ``given`` are the first seven arguments of `_tile_sums`; ``step`` has the SED's number in a
    band, the models of the tile in units of its error, and the vectors so far.
    """
    tiles, t, *matrices, i, n_slot = given
    rows = [
        builder.gep(each.data, [builder.mul(i, builder.extract_value(each.shape, 1))])
        for each in matrices
    ]
    of_tile = builder.mul(t, builder.mul(builder.extract_value(tiles.shape, 1), _count(TILE)))
    entry, loop = builder.block, builder.append_basic_block("bands")
    done = builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed(">", n_slot, _count(0)), loop, done)

    builder.position_at_end(loop)
    slot = builder.phi(_INDEX)
    before = [builder.phi(_SINGLE) for _ in first]
    x, u, band = (builder.load(builder.gep(row, [slot])) for row in rows)
    x, u = _spread(builder, x), _spread(builder, u)
    at = builder.add(of_tile, builder.mul(band, _count(TILE)))
    models = [
        builder.fmul(u, builder.load(_vector_at(builder, tiles.data, at, j), align=4))
        for j in _PARTS
    ]
    after = step(x, models, before)
    following = builder.add(slot, _count(1))
    builder.cbranch(builder.icmp_signed("<", following, n_slot), loop, done)

    builder.position_at_end(done)
    found = [builder.phi(_SINGLE) for _ in first]
    slot.add_incoming(_count(0), entry)
    slot.add_incoming(following, loop)
    for start, new, of_loop, last in zip(first, after, before, found, strict=True):
        for phi in (of_loop, last):
            phi.add_incoming(start, entry)
            phi.add_incoming(new, loop)
    return found


def _unknown(builder: Any, square: object) -> object:  # noqa: ANN401  as above
    """Return where sums of squares are not between `FAINT` and `BRIGHT`."""
    return builder.or_(
        builder.fcmp_unordered("<=", square, _constant(float(FAINT))),
        builder.fcmp_unordered(">=", square, _constant(float(BRIGHT))),
    )


def _bits(builder: Any, masks: list[object]) -> object:  # noqa: ANN401  as above
    """Return vectors of truth values as the bits of one integer."""
    found = _count(0)
    for j, mask in zip(_PARTS, masks, strict=True):
        bits = builder.zext(builder.bitcast(mask, ir.IntType(N_TOGETHER)), _INDEX)
        found = builder.or_(found, builder.shl(bits, _count(j)))
    return found


def _count(n: int) -> object:
    """Return a constant index."""
    return ir.Constant(_INDEX, n)


def _constant(value: float) -> object:
    """Return a constant vector."""
    return ir.Constant(_SINGLE, [value] * N_TOGETHER)


def _spread(builder: Any, value: object) -> object:  # noqa: ANN401  as above
    """Return a vector of one number."""
    nothing = ir.Constant(_SINGLE, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), N_TOGETHER), [0] * N_TOGETHER)
    one = builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, nothing, zeros)


def _vector_at(builder: Any, data: object, first: object, j: int) -> object:  # noqa: ANN401  as above
    """Return where the vector ``j`` numbers after the ``first`` is."""
    at = builder.add(first, _count(j))
    return builder.bitcast(builder.gep(data, [at]), _SINGLE.as_pointer())
