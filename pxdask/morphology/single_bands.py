"""Bands fitted each by itself: a scene taken apart, and its fits put together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.morphology.scene import Scene

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Found:
    """What a program returned for one scene.

    Attributes
    ----------
    theta : (n_dim,) float64
        Best parameters.
    cost : float
        -ln of the density.
    curvature, majorant : (n_dim, n_dim) float64
        As of `engine.Normal`.
    n_steps : int
        Steps tried.
    converged : bool
        Whether the best was reached.
    chi2 : tuple of (n_band,) float64
        Sums of squared residuals over squared errors, by group of bands.
    images : tuple of (n_band, side, side) float64
        Models, by group [uJy per pixel].
    """

    theta: Floats
    cost: float
    curvature: Floats
    majorant: Floats
    n_steps: int
    converged: bool
    chi2: tuple[Floats, ...]
    images: tuple[Floats, ...]


@dataclass(frozen=True, eq=False)
class SingleBand:
    """One band of a scene as a scene of its own.

    Attributes
    ----------
    scene : Scene
        The band alone.
    placed : (int, int)
        Group and row of the band in the whole.
    own : (n_dim,) int
        Where its parameters are in the whole's theta.
    """

    scene: Scene
    placed: tuple[int, int]
    own: NDArray[np.intp]


def single_bands(scene: Scene) -> list[SingleBand]:
    """Return each fitted band of a scene alone; their parameters must not be shared.

    (Save shapes of neighbours, which each band then finds for itself.)
    """
    return [_alone(scene, band) for band in range(len(scene.bands))]


def joined(scene: Scene, bands: Sequence[SingleBand], bests: Sequence[Found]) -> Found:
    """Return the fits of single bands as one fit of the whole scene.

    A shape of a neighbour is one number in the whole: it is that of the last band.
    """
    theta, n_dim = scene.start.copy(), scene.layout.n_dim
    curvature, majorant = np.eye(n_dim), np.eye(n_dim)
    chi2 = [np.zeros(len(group["flux"])) for group in scene.arrays["groups"]]
    images = [np.zeros(group["flux"].shape) for group in scene.arrays["groups"]]
    for band, best in zip(bands, bests, strict=True):
        group, row = band.placed
        theta[band.own] = best.theta
        curvature[np.ix_(band.own, band.own)] = best.curvature
        majorant[np.ix_(band.own, band.own)] = best.majorant
        chi2[group][row] = best.chi2[0][0]
        images[group][row] = best.images[0][0]
    return Found(
        theta=theta,
        cost=sum(best.cost for best in bests),
        curvature=curvature,
        majorant=majorant,
        n_steps=max(best.n_steps for best in bests),
        converged=all(best.converged for best in bests),
        chi2=tuple(chi2),
        images=tuple(images),
    )


def _alone(scene: Scene, band: int) -> SingleBand:
    """Return one band of a scene alone."""
    number, row = scene.placed[band]
    group = {name: each[row : row + 1] for name, each in scene.arrays["groups"][number].items()}
    own = np.flatnonzero(np.any(group["design"][0] != 0, axis=0))
    group["design"] = group["design"][:, :, own]
    layout = replace(scene.layout, groups=((1, group["flux"].shape[-1]),), n_dim=len(own))
    arrays = {
        "groups": (group,),
        "prior_mean": scene.arrays["prior_mean"][own],
        "prior_std": scene.arrays["prior_std"][own],
        "dof": scene.arrays["dof"],
    }
    columns = {
        key: slice(int(np.searchsorted(own, at)), int(np.searchsorted(own, at)) + 1)
        for key, part in scene.columns.items()
        for at in own[(own >= part.start) & (own < part.stop)]
    }
    single = replace(
        scene, layout=layout, arrays=arrays, start=scene.start[own], columns=columns,
        placed=((0, 0),), fitted=(scene.fitted[band],),
    )  # fmt: skip
    return SingleBand(scene=single, placed=(number, row), own=own)
