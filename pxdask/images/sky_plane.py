"""Planes under the sources of an image, found before any source is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

MAD_TO_SIGMA = 1.482602218505602
"""Standard deviation over median absolute deviation, of a Gaussian."""

SAMPLE = 200_000
"""Pixels that are enough for a plane or a first level."""

_LEAST_BOXES = 9
"""Boxes that a first plane needs."""


def lower_plane(values: Floats, *, good: Mask, side: int) -> Floats:
    """Return a plane (level, slope along x, along y) under the sources, from small boxes."""
    ny, nx = (size // side for size in values.shape)
    parts = np.where(good, values, np.nan)[: ny * side, : nx * side]
    parts = parts.reshape(ny, side, nx, side).swapaxes(1, 2).reshape(ny * nx, side * side)
    enough = np.mean(np.isfinite(parts), axis=1) >= 0.5
    rows, columns = (
        (index[enough] + 0.5) * side - 0.5 for index in np.divmod(np.arange(ny * nx), nx)
    )
    ordered = np.sort(values[good][:: -(-int(good.sum()) // SAMPLE)])
    plane = np.array([densest(ordered), 0.0, 0.0])
    if np.count_nonzero(enough) < _LEAST_BOXES:
        return plane
    medians = np.nanmedian(parts[enough], axis=1)
    terms = plane_terms(rows, columns, values.shape)
    # A galaxy over half of the frame may defeat the first two starts, a steep gradient all but
    # the second.
    low = np.array([float(np.quantile(medians, 0.15)), 0.0, 0.0])
    starts = (plane, _least_absolute_plane(terms, medians), low)
    planes = [_plane_below(terms, medians, start) for start in starts]
    noise = float(np.median(np.nanstd(parts[enough], axis=1))) / side
    near = [np.count_nonzero(np.abs(medians - terms @ found) < 4 * noise) for found in planes]
    likely = [found for found, n in zip(planes, near, strict=True) if n >= 0.5 * max(near)]
    return min(likely, key=lambda found: float(found[0]))


def densest(ordered: Floats) -> float:
    """Return the middle of the narrowest range that holds a quarter of the values.

    Of ranges that are nearly as narrow, the lowest: a galaxy may be as smooth as the sky.
    """
    count = max(1, ordered.size // 4)
    widths = ordered[count:] - ordered[:-count]
    low = int(np.argmax(widths <= 1.5 * np.min(widths)))
    near = np.searchsorted(ordered, ordered[low + count] + 2 * np.min(widths), side="right")
    first = int(np.argmin(widths[: max(1, int(near) - count)]))
    return float(np.median(ordered[first : first + count + 1]))


def lower_scatter(residual: Floats) -> float:
    """Return the sigma of a Gaussian about zero, from the negative values alone."""
    below = residual[residual < 0]
    return MAD_TO_SIGMA * float(np.median(-below)) if below.size else 0.0


def _least_absolute_plane(terms: Floats, values: Floats) -> Floats:
    """Return the plane of least absolute deviations, by reweighted least squares."""
    weight = np.ones(values.shape)
    plane = np.zeros(terms.shape[1])
    for _ in range(10):
        root = np.sqrt(weight)
        plane = np.asarray(np.linalg.lstsq(terms * root[:, None], values * root)[0], np.float64)
        away = np.abs(values - terms @ plane)
        least = 1e-3 * float(np.mean(away)) + float(np.finfo(np.float64).tiny)
        weight = np.asarray(1 / np.maximum(away, least), dtype=np.float64)
    return plane


def _plane_below(terms: Floats, values: Floats, start: Floats) -> Floats:
    """Return a plane from which values far above it are left out, step by step."""
    plane = np.asarray(start, dtype=np.float64)
    for _ in range(20):
        residual = values - terms @ plane
        kept = residual <= 1.5 * lower_scatter(residual)
        if np.count_nonzero(kept) < _LEAST_BOXES:
            break
        plane = np.asarray(np.linalg.lstsq(terms[kept], values[kept])[0], dtype=np.float64)
    return plane


def plane_terms(
    rows: NDArray[np.number], columns: NDArray[np.number], shape: tuple[int, ...]
) -> Floats:
    """Return 1, x and y of pixels, (n, 3); x and y from -1 to 1 over the frame."""
    x = (columns + 0.5) / shape[1] * 2 - 1
    y = (rows + 0.5) / shape[0] * 2 - 1
    return np.stack([np.ones_like(x), x, y], axis=1)


def plane_image(plane: Floats, shape: tuple[int, ...]) -> Floats:
    """Return a plane on all pixels."""
    y, x = ((np.arange(size) + 0.5) / size * 2 - 1 for size in shape)
    image: Floats = plane[0] + plane[1] * x[None, :] + plane[2] * y[:, None]
    return image
