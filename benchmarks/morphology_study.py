"""How well Sersic shapes of mock galaxies are recovered: bias and coverage, with their table.

``python -m benchmarks.morphology_study`` prints the table of docs/morphology.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.morphology_mocks import BANDS, DEC, RA, RADIUS, Camera, draw_galaxy, observe
from pxdask.core.morphology import MorphologyConfig
from pxdask.morphology.fit import fit_scenes
from pxdask.morphology.posterior import sample_posterior
from pxdask.morphology.scene import make_scene
from pxdask.morphology.unpacking import unpack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.morphology_mocks import Truth
    from pxdask.morphology.scene import Scene

    Floats = NDArray[np.float64]

_SEEING = dict(zip(BANDS, (0.85, 0.75, 0.7, 0.68, 0.66), strict=True))
CAMERAS = {
    "one scale": {band: Camera(0.2, fwhm) for band, fwhm in _SEEING.items()},
    "two scales": {
        **{band: Camera(0.2, _SEEING[band]) for band in "gri"},
        "z": Camera(0.4, 1.2),
        "y": Camera(0.4, 1.3),
    },
}
"""Pixels and PSFs of the bands; all of FWHM three pixels or more."""

NAMES = ("r_eff", "n", "axis_ratio")


@dataclass(frozen=True, eq=False)
class Recovery:
    """What came out of mocks, over galaxies and bands.

    Attributes
    ----------
    ratio : dict of (n_galaxy, n_band) float64
        Posterior median over truth.
    inside : dict of (n_galaxy, n_band) bool
        Whether truth is within the 68 % interval.
    snr : (n_galaxy,) float64
        Signal-to-noise ratio of each band.
    flags : (n_galaxy,) int
        `Flag` bits.
    n_steps : (n_galaxy,) int
        Steps of the fits.
    """

    ratio: dict[str, Floats]
    inside: dict[str, NDArray[np.bool_]]
    snr: Floats
    flags: NDArray[np.int64]
    n_steps: NDArray[np.int64]


def recover(
    n_galaxy: int,
    cameras: dict[str, Camera],
    *,
    config: MorphologyConfig,
    seed: int,
    radius: tuple[float, float] = RADIUS,
    snr: tuple[float, float] = (20.0, 200.0),
) -> Recovery:
    """Fit mock galaxies with radii [arcsec] and S/N of each band from ranges."""
    parts = []
    for i in range(n_galaxy):
        rng = np.random.default_rng([seed, i])
        galaxy = draw_galaxy(rng, list(cameras), radius=radius)
        own_snr = float(np.exp(rng.uniform(*np.log(snr))))
        stamps = observe(galaxy, cameras, snr=own_snr, rng=rng)
        scene = make_scene(stamps, ra=RA, dec=DEC, config=config, galaxy={"id": f"mock-{i}"})
        parts.append((own_snr, *_compared(scene, galaxy, config, rng)))
    snrs, ratio, inside, flags, steps = zip(*parts, strict=True)
    return Recovery(
        ratio={name: np.array([each[name] for each in ratio]) for name in NAMES},
        inside={name: np.array([each[name] for each in inside]) for name in NAMES},
        snr=np.array(snrs), flags=np.array(flags), n_steps=np.array(steps),
    )  # fmt: skip


def _compared(
    scene: Scene, galaxy: dict[str, Truth], config: MorphologyConfig, rng: np.random.Generator
) -> tuple[dict[str, Floats], dict[str, NDArray[np.bool_]], int, int]:
    """Return a fit's medians over truth, whether truth is inside, flags and steps."""
    fitted = fit_scenes([scene], config=config, rngs=[rng])[0]
    posterior = sample_posterior(scene, fitted, config=config, rng=rng)
    draws = {name: each[:, 0] for name, each in unpack(posterior.draws, scene).items()}
    draws["axis_ratio"] = 1 - draws["ellip"]
    true = {
        "r_eff": np.array([each.r_eff for each in galaxy.values()]),
        "n": np.array([each.n for each in galaxy.values()]),
        "axis_ratio": np.array([1 - each.ellip for each in galaxy.values()]),
    }
    ratio, inside = {}, {}
    for name in NAMES:
        low, middle, high = np.quantile(draws[name], [0.16, 0.5, 0.84], axis=0)
        ratio[name] = middle / true[name]
        inside[name] = (true[name] >= low) & (true[name] <= high)
    return ratio, inside, int(fitted.flags[0]), fitted.n_steps


def table(found: dict[str, Recovery]) -> str:
    """Return bias and coverage as Markdown."""
    lines = [
        "| bands | S/N | galaxies | quantity | median bias | mean bias | scatter | in 68 % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for label, each in found.items():
        for low, high in ((20, 50), (50, 200), (20, 200)):
            chosen = (each.snr >= low) & (each.snr < high)
            for name in NAMES:
                away = each.ratio[name][chosen] - 1
                spread = 0.5 * float(np.subtract(*np.quantile(away, [0.84, 0.16])))
                lines.append(
                    f"| {label} | {low}-{high} | {chosen.sum()} | {name} "
                    f"| {100 * np.median(away):+.2f} % | {100 * np.mean(away):+.2f} % "
                    f"| {100 * spread:.1f} % | {100 * each.inside[name][chosen].mean():.1f} % |"
                )
    return "\n".join(lines)


def main(n_galaxy: int) -> None:
    """Print the study."""
    found = {}
    for loss in ("gaussian", "student_t"):
        config = MorphologyConfig.model_validate({"loss": loss})
        for label, cameras in CAMERAS.items():
            each = recover(n_galaxy, cameras, config=config, seed=7)
            flags, counts = np.unique(each.flags, return_counts=True)
            told = dict(zip(flags.tolist(), counts.tolist(), strict=True))
            print(
                f"{label}, {loss}: flags {told}, steps {np.quantile(each.n_steps, [0.5, 0.9, 1])}"
            )
            found[f"{label}, {loss}"] = each
    print(table(found))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 200)
