"""How much of a galaxy's light falls on pixels that count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammainc, gammaincinv

from pxdask.morphology.profiles import concentration

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.morphology.scene import Scene, Stamp

    Floats = NDArray[np.float64]

REACH = 2.0
"""Radius within which light is looked at [r_eff]: 85 % of it for n = 1, 69 % for n = 4."""

_GAUSSIAN = 0.5
"""Sersic index of a Gaussian, which stands for a point under its PSF."""

_N_RADIUS, _N_ANGLE = 24, 48


def seen_parts(scene: Scene, values: dict[str, Floats]) -> Floats:
    """Return the part of the galaxy's light within `REACH` r_eff that good pixels hold.

    Parameters
    ----------
    scene : Scene
        What was fitted.
    values : dict of (n_source, n_band) float64
        As of `unpack`.

    Returns
    -------
    seen : (n_band,) float64
        Of fitted bands, from 0 to 1; NaN where a value is not finite. Half of the PSF's light is
        counted as the width of what is smaller.
    """
    origin, matrix = scene.of_band("origin"), scene.of_band("matrix")
    found = []
    for band, number in enumerate(scene.fitted):
        own = {name: float(each[0, band]) for name, each in values.items()}
        stamp = scene.stamps[number]
        seen = [
            part * _seen(offsets, stamp, origin=origin[band], matrix=matrix[band])
            for part, offsets in _components(own, stamp.psf_radius)
        ]
        found.append(sum(seen))
    return np.array(found, dtype=np.float64)


def light_points(*, r_eff: float, index: float, ellip: float, theta: float, blur: float) -> Floats:
    """Return points that each have as much light about them.

    Parameters
    ----------
    r_eff, ellip, theta : float
        Half-light radius [arcsec], 1 - axis ratio, angle from north to east [deg].
    index : float
        Sersic index.
    blur : float
        Half-light radius of the PSF [arcsec], added to both axes in quadrature.

    Returns
    -------
    points : (2, n_point) float64
        East and north of the centre [arcsec].

    Notes
    -----
    The radius within which a part of the light is: Graham and Driver (2005), eq. 2.
    """
    b = float(concentration(index))
    within = gammainc(2 * index, b * REACH ** (1 / index))
    part = within * (np.arange(_N_RADIUS) + 0.5) / _N_RADIUS
    radius = (gammaincinv(2 * index, part) / b) ** index
    angle = 2 * np.pi * (np.arange(_N_ANGLE) + 0.5) / _N_ANGLE
    major = np.hypot(r_eff, blur) * np.outer(radius, np.cos(angle)).ravel()
    minor = np.hypot(r_eff * (1 - ellip), blur) * np.outer(radius, np.sin(angle)).ravel()
    sine, cosine = np.sin(np.radians(theta)), np.cos(np.radians(theta))
    return np.stack([major * sine + minor * cosine, major * cosine - minor * sine])


def _components(own: dict[str, float], blur: float) -> list[tuple[float, Floats]]:
    """Return the parts of the light of a galaxy's components, and their points on the sky."""
    centre = np.array([[own["xc"]], [own["yc"]]])
    names = [("", 1.0)] if "r_eff" in own else []
    if "bulge_fraction" in own:
        names = [("", own["bulge_fraction"]), ("disc_", 1 - own["bulge_fraction"])]
    point = own["point_flux"] / own["flux"] if "point_flux" in own else float(not names)
    parts = []
    for prefix, part in names:
        shape = {name: own[f"{prefix}{name}"] for name in ("r_eff", "ellip", "theta")}
        index = 1.0 if prefix else own["n"]
        points = light_points(**shape, index=index, blur=blur)
        parts.append((part * (1 - point), centre + points))
    if point:
        points = light_points(r_eff=0.0, ellip=0.0, theta=0.0, index=_GAUSSIAN, blur=blur)
        parts.append((point, centre + points))
    return parts


def _seen(offsets: Floats, stamp: Stamp, *, origin: Floats, matrix: Floats) -> float:
    """Return the part of points (2, n_point) on the sky that lie on good pixels; NaN where lost."""
    if not np.all(np.isfinite(offsets)):
        return float("nan")
    places = np.clip(origin[:, None] + matrix @ offsets, -1e9, 1e9)
    x, y = np.rint(places).astype(np.int64)
    ny, nx = stamp.good.shape
    inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny)
    good = stamp.good[np.where(inside, y, 0), np.where(inside, x, 0)]
    return float(np.mean(inside & good))
