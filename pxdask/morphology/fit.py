"""Best fits of many scenes, with their covariances."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pxdask.morphology.compiled import double_precision, fit_program, load_jax
from pxdask.morphology.quality import fit_flags
from pxdask.morphology.single_bands import Found, joined, single_bands
from pxdask.morphology.transforms import z_of
from pxdask.morphology.unpacking import unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.core.morphology import MorphologyConfig
    from pxdask.morphology.scene import Scene

    Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

BATCH = {"cpu": 1, "gpu": 64}
"""Scenes in one call of a program. On a CPU a call costs 0.2 ms of some 100: more in a call would
only have to be padded."""

RESTARTS = 3
"""Further starts of a scene whose fit does not settle."""

BULGES = ((0.12, 2.0, 0.1), (0.5, 1.5, 0.5))
"""Radius [r_eff of the whole], index and part of the light of bulges to start from, beside the
first guess."""

_SPREAD = 0.5
"""Scatter of further starts, in the widths of priors."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """The best fit of a scene.

    Attributes
    ----------
    theta : (n_dim,) float64
        Best parameters, as of `log_density`.
    covariance : (n_dim, n_dim) float64
        Of a normal posterior about them: inverse of the loss's curvature (Laplace).
    ln_density : float
        `log_density` there.
    values : dict of (n_source, n_band) float64
        Physical values; see `unpack`.
    chi2 : (n_band,) float64
        Squared residuals over squared errors, per good pixel less the band's share of parameters.
    images : tuple of (ny, nx) float64
        Best model of each fitted band on its stamp, sky included [uJy per pixel].
    n_steps : int
        Steps that were tried, by the start that was best.
    flags : (n_source,) uint16
        `Flag` bits.
    """

    theta: Floats
    covariance: Floats
    ln_density: float
    values: dict[str, Floats]
    chi2: Floats
    images: tuple[Floats, ...]
    n_steps: int
    flags: NDArray[np.uint16]


def fit_scenes(
    scenes: Sequence[Scene],
    *,
    config: MorphologyConfig,
    rngs: Sequence[np.random.Generator],
) -> list[Fitted]:
    """Return the best fit of each scene.

    Scenes of one form share a compiled program, which the process keeps, and the disk.

    Parameters
    ----------
    scenes : sequence of Scene
        What to fit.
    config : MorphologyConfig
        ``joint`` and ``max_chi2``.
    rngs : sequence of numpy.random.Generator
        One of each scene, for further starts of those that do not settle.

    Raises
    ------
    ConfigError
        Where JAX is not installed.
    """
    if config.joint:
        found = _best(scenes, rngs, engine=config.engine)
    else:
        singles = [each for scene in scenes for each in single_bands(scene)]
        owners = [i for i, scene in enumerate(scenes) for _ in scene.bands]
        bests = _best(
            [each.scene for each in singles], [rngs[i] for i in owners], engine=config.engine
        )
        found = []
        for i, scene in enumerate(scenes):
            own = [k for k, owner in enumerate(owners) if owner == i]
            found.append(joined(scene, [singles[k] for k in own], [bests[k] for k in own]))
    return [_fitted(scene, best, config) for scene, best in zip(scenes, found, strict=True)]


def _best(
    scenes: Sequence[Scene], rngs: Sequence[np.random.Generator], *, engine: str
) -> list[Found]:
    """Return best fits, with further starts where the first does not settle."""
    run = _run if engine == "jax" else _run_pysersic
    found = run(scenes, [scene.start for scene in scenes])
    for number in range(max((len(other_starts(scene)) for scene in scenes), default=0)):
        some = [i for i, scene in enumerate(scenes) if len(other_starts(scene)) > number]
        starts = [other_starts(scenes[i])[number] for i in some]
        for i, other in zip(some, run([scenes[i] for i in some], starts), strict=True):
            found[i] = _better(found[i], other)
    for _ in range(RESTARTS):
        again = [i for i, best in enumerate(found) if not best.converged]
        if not again:
            break
        starts = [_moved(scenes[i], rngs[i]) for i in again]
        for i, other in zip(again, run([scenes[i] for i in again], starts), strict=True):
            found[i] = _better(found[i], other)
    return found


def _better(one: Found, other: Found) -> Found:
    """Return the fit of the lesser cost; the first, unless it has none."""
    return other if not np.isfinite(one.cost) or other.cost < one.cost else one


def other_starts(scene: Scene) -> list[Floats]:
    """Return further starts of a bulge in a disc: from one, fits end where another is far better.

    Each (`BULGES`) has its own radius, index and part of the light in all bands; what has a given
    prior starts from that.
    """
    if scene.layout.sources[0] != "sersic_exponential":
        return []
    layout, design = scene.layout, scene.of_band("design")
    low, high = scene.of_band("low"), scene.of_band("high")
    found = []
    for radius, index, fraction in BULGES:
        theta = scene.start.copy()
        for name, value in (
            ("r_eff", radius * scene.guess.r_eff),
            ("n", index),
            ("bulge_fraction", fraction),
        ):
            if name in layout.given:
                continue
            at, part = layout.local.index((0, name)), scene.columns[0, name]
            z = [
                z_of(value, kind=layout.kinds[at], low=float(a), high=float(b))
                for a, b in zip(low[:, at], high[:, at], strict=True)
            ]
            theta[part] = np.linalg.lstsq(design[:, at, part], np.array(z), rcond=None)[0]
        found.append(theta)
    return found


def _moved(scene: Scene, rng: np.random.Generator) -> Floats:
    """Return a start near the first; fluxes and sky, which are linear, stay."""
    step = _SPREAD * scene.arrays["prior_std"] * rng.standard_normal(scene.layout.n_dim)
    for (_, name), part in scene.columns.items():
        if name in ("flux", "point_flux") or name.startswith("sky"):
            step[part] = 0.0
    return np.asarray(scene.start + step, dtype=np.float64)


def _run(scenes: Sequence[Scene], starts: Sequence[Floats]) -> list[Found]:
    """Return what the compiled programs find from given starts."""
    alike: dict[Any, list[int]] = defaultdict(list)
    for i, scene in enumerate(scenes):
        alike[scene.layout].append(i)
    found: dict[int, Found] = {}
    with double_precision():
        jax = load_jax()
        size = BATCH.get(jax.default_backend(), BATCH["gpu"])
        for layout, members in alike.items():
            program = fit_program(layout)
            for first in range(0, len(members), size):
                part = members[first : first + size]
                padded = part + part[-1:] * (size - len(part))
                arrays = jax.tree.map(
                    lambda *each: np.stack(each), *(scenes[i].arrays for i in padded)
                )
                best = program(np.stack([starts[i] for i in padded]), arrays)
                found.update(zip(part, _split(jax.device_get(best), len(part)), strict=True))
    return [found[i] for i in range(len(scenes))]


def _run_pysersic(scenes: Sequence[Scene], starts: Sequence[Floats]) -> list[Found]:
    """Return what the reference finds, galaxy by galaxy."""
    load_jax()
    from pxdask.morphology.reference import best_with_pysersic  # noqa: PLC0415  needs JAX

    pairs = zip(scenes, starts, strict=True)
    return [_split(best_with_pysersic(scene, start), 1)[0] for scene, start in pairs]


def _split(best: Any, count: int) -> list[Found]:  # noqa: ANN401  a tree of arrays
    """Return the fits of a batch one by one, in numpy."""
    return [
        Found(
            theta=np.array(best.theta[i]),
            cost=float(best.normal.cost[i]),
            curvature=np.array(best.normal.curvature[i]),
            majorant=np.array(best.normal.majorant[i]),
            n_steps=int(best.n_steps[i]),
            converged=bool(best.converged[i]),
            chi2=tuple(np.array(each[i]) for each in best.chi2),
            images=tuple(np.array(each[i]) for each in best.images),
        )
        for i in range(count)
    ]


def _fitted(scene: Scene, best: Found, config: MorphologyConfig) -> Fitted:
    """Return a fit with its covariance, reduced chi-squares and flags."""
    values = unpack(best.theta, scene)
    n_pix = np.array([scene.stamps[i].good.sum() for i in scene.fitted])
    own = scene.layout.n_dim / len(scene.bands)
    chi2 = np.array([best.chi2[g][row] for g, row in scene.placed]) / np.maximum(n_pix - own, 1)
    shapes = [scene.stamps[i].flux.shape for i in scene.fitted]
    images = tuple(
        best.images[g][row, :ny, :nx]
        for (g, row), (ny, nx) in zip(scene.placed, shapes, strict=True)
    )
    return Fitted(
        theta=best.theta, covariance=_covariance(best), ln_density=-best.cost, values=values,
        chi2=chi2, images=images, n_steps=best.n_steps,
        flags=fit_flags(scene, values, chi2=chi2, converged=best.converged, config=config),
    )  # fmt: skip


def _covariance(best: Found) -> Floats:
    """Return the inverse of the curvature; of that of reweighted squares where it has none."""
    for matrix in (best.curvature, best.majorant):
        if not np.all(np.isfinite(matrix)):
            continue
        scale = 1 / np.sqrt(np.maximum(np.abs(np.diag(matrix)), 1e-300))
        values, axes = np.linalg.eigh(matrix * np.outer(scale, scale))
        if values[0] > 1e-12 * values[-1]:
            return np.asarray((axes / values) @ axes.T * np.outer(scale, scale), np.float64)
    return np.full(best.curvature.shape, np.nan)
