"""What is odd about a fit, as flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.flags import Flag
from pxdask.morphology.coverage import seen_parts
from pxdask.morphology.problem import MOST_ELLIP
from pxdask.morphology.profiles import INDEX_RANGES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.core.morphology import MorphologyConfig
    from pxdask.morphology.scene import Scene

    Floats = NDArray[np.float64]

_EDGE = 0.01
"""Part of a range at its ends that counts as its edge."""

LEAST_SEEN = 0.9
"""Part of the light within 2 r_eff that good pixels must hold in each band: of a galaxy that is cut
through its middle, half is seen."""

_MOST_PULL = 30.0
"""Distance from a given prior [its width] above which the prior does not hold a value any more."""

_LEAST_RADIUS = 0.05
"""Half-light radius of what is as good as a point [pix of the finest band]."""


def fit_flags(
    scene: Scene,
    values: dict[str, Floats],
    *,
    chi2: Floats,
    converged: bool,
    config: MorphologyConfig,
) -> NDArray[np.uint16]:
    """Return the `Flag` bits (n_source,) of a fit.

    Parameters
    ----------
    scene : Scene
        What was fitted.
    values : dict of (n_source, n_band) float64
        As of `unpack`.
    chi2 : (n_band,) float64
        Reduced chi-square.
    converged : bool
        Whether the best was reached.
    config : MorphologyConfig
        ``max_chi2``.
    """
    shared = Flag(0)
    if not converged:
        shared |= Flag.NOT_CONVERGED
    if np.any(~(chi2 <= config.max_chi2)):
        shared |= Flag.BAD_CHI2
    if len(scene.fitted) < len(scene.stamps):
        shared |= Flag.NO_DATA
    flags = np.full(len(scene.sources), int(shared), dtype=np.uint16)
    at_edge = _at_edge(scene, values, index_range=INDEX_RANGES[config.engine])
    at_edge[0] |= _at_bounds(scene, values)
    flags[at_edge] |= np.uint16(Flag.AT_EDGE)
    if _off_centre(scene, values):
        flags[0] |= np.uint16(Flag.OFF_CENTRE)
    if np.any(seen_parts(scene, values) < LEAST_SEEN):
        flags[0] |= np.uint16(Flag.EDGE)
    if _middle_masked(scene):
        flags[0] |= np.uint16(Flag.MASKED)
    return flags


def _at_edge(
    scene: Scene, values: dict[str, Floats], *, index_range: tuple[float, float]
) -> NDArray[np.bool_]:
    """Return the sources (n_source,) of which a shape is at the end of what is possible.

    A galaxy may be round, so only the greatest ellipticity counts.
    """
    finest = min(scene.stamps[i].pixel_scale for i in scene.fitted)
    widest = max(
        scene.stamps[i].pixel_scale * max(scene.stamps[i].flux.shape) for i in scene.fitted
    )
    low, high = np.log(index_range)
    ends = {
        "n": (np.exp(low + _EDGE * (high - low)), np.exp(high - _EDGE * (high - low))),
        "r_eff": (_LEAST_RADIUS * finest, widest),
        "disc_r_eff": (_LEAST_RADIUS * finest, widest),
        "ellip": (-1.0, (1 - _EDGE) * MOST_ELLIP),
        "disc_ellip": (-1.0, (1 - _EDGE) * MOST_ELLIP),
        "bulge_fraction": (_EDGE, 1 - _EDGE),
    }
    outside = np.zeros(len(scene.sources), dtype=bool)
    for name, (least, most) in ends.items():
        if name in values:
            outside |= np.any((values[name] < least) | (values[name] > most), axis=-1)
    return outside


def _at_bounds(scene: Scene, values: dict[str, Floats]) -> bool:
    """Return whether a sky, or a bulge's radius or index or its disc's radius, is at its bounds.

    A sky is where it is as far from that of the border as it is let: the profile is not the
    galaxy's. What has a given prior is where that has no hold on it.
    """
    layout, low, high = scene.layout, scene.of_band("low"), scene.of_band("high")
    for i, (source, name) in enumerate(layout.local):
        kind = layout.kinds[i]
        if kind == "truncated":
            mean, std = (scene.of_band(each)[0, i] for each in ("mean", "std"))
            if np.any(np.abs(values[name][0] - mean) > _MOST_PULL * std):
                return True
        has_bounds = kind in ("log_bounded", "truncated") and not name.endswith("ellip")
        two = layout.sources[0] == "sersic_exponential" and has_bounds
        if not (source < 0 or (source == 0 and two)):
            continue
        value = values[name][0]
        plain = np.log(value) if kind == "log_bounded" else value
        place = (plain - low[:, i]) / (high[:, i] - low[:, i])
        if np.any((place < _EDGE) | (place > 1 - _EDGE)):
            return True
    return False


def _off_centre(scene: Scene, values: dict[str, Floats]) -> bool:
    """Return whether the galaxy's centre is farther from its position than is sensible.

    That is half of the first guess of the radius, and two pixels of the coarsest band.
    """
    coarsest = max(scene.stamps[i].pixel_scale for i in scene.fitted)
    away = np.hypot(values["xc"][0], values["yc"][0])
    return bool(np.any(~(away <= max(2 * coarsest, 0.5 * scene.guess.r_eff))))


def _middle_masked(scene: Scene) -> bool:
    """Return whether the pixel at the galaxy's position counts for nothing in some band."""
    for i, (x, y) in zip(scene.fitted, scene.of_band("origin"), strict=True):
        good = scene.stamps[i].good
        row, column = round(float(y)), round(float(x))
        inside = 0 <= row < good.shape[0] and 0 <= column < good.shape[1]
        if not inside or not good[row, column]:
            return True
    return False
