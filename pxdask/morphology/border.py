"""The sky by the border of a stamp: its level, its slopes, and what of it may be the galaxy's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_LEAST_PIXELS = 20
"""Good pixels of the border below which it tells nothing."""
_MEDIAN = 1.2533
"""Error of a median over that of a mean, of normal values: sqrt(pi / 2)."""
_BLOCKS = 16
"""Parts of the border, by angle, whose scatter tells the error of its mean."""
_LEAST_BLOCKS = 6
"""Parts below which nothing is said of slopes."""
_N_RING = 12
_LEAST_RINGS = 5
_INNER = 0.5
"""Where rings begin that tell the light of the border [half of the stamp's side]."""
_SCALES = np.geomspace(1 / 15, 1 / 3, 12)
"""Scale lengths that are tried [half of the stamp's side]."""
_SEEN = 9.0
"""Fall of chi-square that makes light in the border worth taking off."""
_WRONG_LIGHT = 0.5
"""Part of the border's light by which an exponential may be wrong."""


@dataclass(frozen=True, slots=True)
class Border:
    """What the border of a stamp tells of the sky; all per pixel [uJy].

    Attributes
    ----------
    level, level_err : float
        Of the sky, the galaxy's light taken off.
    slope : (float, float)
        Rise along x and along y over half of the stamp's longer side.
    slope_err : float
        Error of either.
    light : float
        Mean of the galaxy's light that was taken off; zero where none is seen.
    """

    level: float
    level_err: float
    slope: tuple[float, float]
    slope_err: float
    light: float


def border_sky(flux: Floats, flux_err: Floats, good: Mask, *, radius: Floats) -> Border:
    """Return the sky by the outer tenth of a stamp.

    Where rings between half of the stamp and its corners show no light that declines outwards,
    the level is the median of the clipped means of parts of the border; where they do, it is
    what an exponential decline leaves, and the light is the excess. The error is the greater of
    that of independent pixels and that by the scatter of parts of the border (which knows of
    correlated noise, sources and structures), and in quadrature those of the light: the
    statistical one, over all scale lengths, and half of the light itself.

    Parameters
    ----------
    flux, flux_err : (ny, nx) float64
        Per pixel [uJy].
    good : (ny, nx) bool
        Pixels that count.
    radius : (ny, nx) float64
        Distance from the galaxy, in any unit.

    Returns
    -------
    border : Border
        Zero within the noise of a pixel, where the border has fewer than 20 good pixels.
    """
    ny, nx = flux.shape
    edge = max(2, min(ny, nx) // 10)
    outer = np.ones(flux.shape, dtype=bool)
    outer[edge:-edge, edge:-edge] = False
    outer &= good
    noise = float(np.median(flux_err[good]))
    if outer.sum() < _LEAST_PIXELS:
        return Border(0.0, noise, (0.0, 0.0), noise, 0.0)
    kept = outer.copy()
    kept[outer] = _unclipped(flux[outer])
    values = flux[kept]
    scatter = max(float(np.std(values)), float(np.median(flux_err[kept])))
    blocks = _blocks(flux, kept)
    independent = scatter / np.sqrt(values.size)
    slope, slope_err = _slope(blocks, independent=independent)
    mean = float(np.median(blocks[0]))
    spread = 1.4826 * float(np.median(np.abs(blocks[0] - mean)))
    below, light_err = _below_light(flux, good, at=radius[kept], radius=radius)
    light = 0.0 if below is None else max(mean - below, 0.0)
    error = _MEDIAN * max(independent, spread / np.sqrt(len(blocks[0])))
    return Border(
        level=mean - light,
        level_err=float(np.sqrt(error**2 + light_err**2 + (_WRONG_LIGHT * light) ** 2)),
        slope=slope, slope_err=slope_err, light=light,
    )  # fmt: skip


def _unclipped(values: Floats) -> Mask:
    """Return which values are within three standard deviations of the median, by iteration."""
    kept = np.ones(values.shape, dtype=bool)
    for _ in range(3):
        middle = np.median(values[kept])
        spread = 1.4826 * np.median(np.abs(values[kept] - middle))
        if not spread > 0:
            break
        kept = np.abs(values - middle) <= 3 * spread
    return kept


def _blocks(flux: Floats, kept: Mask) -> Floats:
    """Return means, and middles along x and y, of parts of the border by angle (3, n_block).

    Places are from the stamp's middle, in halves of its longer side.
    """
    rows, columns = np.nonzero(kept)
    ny, nx = kept.shape
    x, y = ((at - (size - 1) / 2) / (0.5 * max(ny, nx)) for at, size in ((columns, nx), (rows, ny)))
    block = np.floor((np.arctan2(y, x) / (2 * np.pi) + 0.5) * _BLOCKS).astype(int) % _BLOCKS
    count = np.bincount(block, minlength=_BLOCKS)
    sums = [np.bincount(block, weights=each, minlength=_BLOCKS) for each in (flux[kept], x, y)]
    return np.stack([each[count > 0] / count[count > 0] for each in sums])


def _slope(blocks: Floats, *, independent: float) -> tuple[tuple[float, float], float]:
    """Return slopes along x and y and their error; ``independent`` is the mean's of white noise.

    The galaxy is the same on both sides, so has no part in slopes.
    """
    value, x, y = blocks
    lever = float(np.sqrt(0.5 * np.mean(x**2 + y**2)))
    if len(value) < _LEAST_BLOCKS:
        return (0.0, 0.0), independent / lever
    terms = np.stack([np.ones_like(value), x, y], axis=1)
    found = np.linalg.lstsq(terms, value, rcond=None)[0]
    left = value - terms @ found
    spread = float(np.sqrt(np.sum(left**2) / (len(value) - 3) / len(value)))
    return (float(found[1]), float(found[2])), max(independent, spread) / lever


def _below_light(
    flux: Floats, good: Mask, *, at: Floats, radius: Floats
) -> tuple[float | None, float]:
    """Return the level under the galaxy's light, None where none is seen, and the light's error.

    Of medians of rings, sky and an exponential decline of each of some scale lengths, weighed by
    their likelihood; errors are grown to a reduced chi-square of one, for galaxies have arms.
    Where no light is seen, its error is what may be there at distances ``at``.
    """
    half = 0.5 * float(radius.max()) * np.sqrt(2)
    edges = np.linspace(_INNER * half, float(radius.max()) * 1.001, _N_RING + 1)
    middles, level, error = _rings(flux, good, radius=radius, edges=edges)
    if len(level) < _LEAST_RINGS:
        return None, 0.0
    mean = np.average(level, weights=error**-2.0)
    flat = float(np.sum(((level - mean) / error) ** 2))
    each = [_decline(middles, level, error, scale=part * half, at=at) for part in _SCALES]
    chi2, constant, amount, constant_var, amount_var = np.array(each).T
    grown = max(1.0, float(chi2.min()) / (len(level) - 3))
    weight = np.exp(-0.5 * (chi2 - chi2.min()) / grown)
    weight /= weight.sum()
    if flat - float(chi2.min()) < _SEEN * grown:
        return None, float(np.sqrt(weight @ (amount**2 + grown * amount_var)))
    below = float(weight @ constant)
    return below, float(np.sqrt(weight @ ((constant - below) ** 2 + grown * constant_var)))


def _rings(
    flux: Floats, good: Mask, *, radius: Floats, edges: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return middles, medians and their errors of the rings that have pixels enough."""
    ring = np.digitize(radius, edges) - 1
    found = []
    for k in range(len(edges) - 1):
        values = flux[good & (ring == k)]
        if values.size < _LEAST_PIXELS:
            continue
        middle = float(np.median(values))
        spread = 1.4826 * float(np.median(np.abs(values - middle)))
        error = max(_MEDIAN * spread / np.sqrt(values.size), 1e-6 * abs(middle), 1e-30)
        found.append((0.5 * (edges[k] + edges[k + 1]), middle, error))
    middles, level, error = np.array(found).reshape(-1, 3).T
    return middles, level, error


def _decline(
    middles: Floats, level: Floats, error: Floats, *, scale: float, at: Floats
) -> tuple[float, float, float, float, float]:
    """Return chi-square, sky, mean light at distances, and their variances, of a scale length."""
    inside = middles[0]
    terms = np.stack([np.ones_like(level), np.exp(-(middles - inside) / scale)], axis=1)
    scaled = terms / error[:, None]
    inverse = np.linalg.inv(scaled.T @ scaled)
    found = inverse @ (scaled.T @ (level / error))
    if found[1] < 0:
        found = np.array([np.average(level, weights=error**-2.0), 0.0])
    chi2 = float(np.sum(((level - terms @ found) / error) ** 2))
    there = float(np.mean(np.exp(-(at - inside) / scale)))
    return (
        chi2,
        float(found[0]),
        float(found[1]) * there,
        float(inverse[0, 0]),
        float(inverse[1, 1]) * there**2,
    )
