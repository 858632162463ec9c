"""The acceptance study of amortised posteriors.

``python -m benchmarks.npe_page [mocks [folder]]`` trains networks for delayed tau and Dirichlet
histories, tries them and writes docs/npe.md and its figures: by default with as many mocks as a
survey does, which takes most of an hour on two cores; with 20,000 some minutes. Networks are kept
in the folder, and taken from it. Not one of the timed benchmarks.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.harness import machine
from benchmarks.npe_galaxies import galaxy_table, pools
from benchmarks.npe_study import (
    EXACT_AT,
    LEARNT,
    RANGE,
    TEST_SEED,
    draws_of,
    fit_settings,
    fits_at,
    joined,
    problem,
    rank_of,
    snr_of,
    test_mocks,
    trained,
    truth_of,
)
from benchmarks.npe_tables import (
    acceptance_table,
    accuracy_table,
    agreement_table,
    calibration_table,
    half_width,
    outlier_table,
    width_table,
)
from benchmarks.npe_words import (
    AFTER_GALAXIES,
    CALIBRATION,
    COMMENT,
    GALAXIES,
    HISTORY,
    ONCE,
    REDSHIFTS,
    WIDTHS,
)
from pxdask.core.random import stream
from pxdask.npe.calibration import Tarp, r2, sbc_ks, tarp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from benchmarks.npe_galaxies import Pool
    from benchmarks.npe_study import Fits, Problem, Trained
    from pxdask.npe.calibration import Uniformity
    from pxdask.npe.mocks import Mocks
    from pxdask.npe.network import Network

    Floats = NDArray[np.float64]

DOCS = Path(__file__).parent.parent / "docs"
N_TEST, N_DRAWS, N_EXACT = 20_000, 500, 200
"""Mocks that networks alone are tried with: of exact posteriors and 5,000 mocks the joint coverage
is off by more than 0.02 once in twenty, of 20,000 never; draws of each; mocks fitted at each of the
redshifts of dense libraries."""

PIECE = 5000
"""Mocks whose draws are in memory at a time."""

FORMS = ("delayed_tau", "dirichlet")
MASSES = (4.0, 12.0)
"""Ends of log mass, over which the published R2 is [dex(Msun)]."""


@dataclass(frozen=True, eq=False)
class Study:
    """What was found of one form of history.

    Attributes
    ----------
    names : tuple of str
        Targets, mass last.
    rank : (n, n_dim) float64
        Of the truths.
    even : Uniformity
        Of these.
    balls : Tarp
        Joint coverage.
    r2_mass, r2_own : float
        Of log mass over `MASSES`, and over the mocks' own masses; S/N > 10.
    found : two (n,) float64
        These masses: medians, and true ones.
    fits : list of Fits
        At each of `EXACT_AT`.
    trained : Trained
        The network.
    galaxies : dict of list of Pool, optional
        What SEDs of galaxies of each kind tell of redshifts.
    """

    names: tuple[str, ...]
    rank: Floats
    even: Uniformity
    balls: Tarp
    r2_mass: float
    r2_own: float
    found: tuple[Floats, Floats]
    fits: list[Fits]
    trained: Trained
    galaxies: dict[str, list[Pool]] | None = None


def study(chosen: Problem, made: Trained, *, n_exact: int) -> Study:
    """Return what a network knows of new mocks."""
    mocks = test_mocks(chosen, N_TEST)
    pieces = [
        _tried(made.network, mocks.rows(slice(first, first + PIECE)), first)
        for first in range(0, len(mocks), PIECE)
    ]
    rank, median, level = (np.concatenate(each) for each in zip(*pieces, strict=True))
    bright = snr_of(mocks) > 10
    # scaling a source changes its mass alone: any range of masses is as good
    shift = stream(TEST_SEED, "masses").uniform(*MASSES, len(mocks)) - mocks.log_mass
    pair = (median + shift)[bright], (mocks.log_mass + shift)[bright]
    return Study(
        (*mocks.names, "log mass"),
        rank,
        sbc_ks(rank),
        Tarp(np.sort(level), (np.arange(level.size) + 0.5) / level.size),
        float(r2(*pair)),
        float(r2(median[bright], mocks.log_mass[bright])),
        pair,
        [fits_at(chosen, made.network, z, n=n_exact) for z in EXACT_AT if n_exact],
        made,
        None if made.network.redshift_check is None else pools(chosen, made.network),
    )


def _tried(network: Network, mocks: Mocks, first: int) -> tuple[Floats, Floats, Floats]:
    """Return ranks of the truths, medians of mass, and credibilities of balls; of some mocks."""
    draws = draws_of(network, mocks, n_draws=N_DRAWS, first=first)
    median = np.median(draws.log_mass, axis=1)
    balls = _balls(joined(draws), mocks, median, stream(TEST_SEED, "balls", first))
    return rank_of(draws, mocks), median, balls.level


def _balls(draws: Floats, mocks: Mocks, median: Floats, rng: np.random.Generator) -> Tarp:
    """Return joint coverage; masses are relative to the posterior's median, in units of 1.2 dex."""
    truth, draws = truth_of(mocks), draws.copy()
    truth[:, -1] = (truth[:, -1] - median) / 1.2
    draws[..., -1] = (draws[..., -1] - median[:, None]) / 1.2
    reference = rng.random(truth.shape)
    reference[:, -1] = rng.normal(0.0, float(np.std(truth[:, -1])), len(truth))
    return tarp(draws, truth, reference)


def figure_of(found: Study) -> Figure:
    """Return ranks, joint coverage, widths and masses."""
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    axes = figure.subplots(1, 4)
    levels = np.linspace(0, 1, 101)
    for name, column in zip(found.names, found.rank.T, strict=True):
        part = np.searchsorted(np.sort(column), levels) / len(column)
        axes[0].plot(levels, part - levels, lw=0.9, label=name)
    limit = 1.63 / np.sqrt(len(found.rank))
    axes[0].axhspan(-limit, limit, color="0.9", zorder=0)
    axes[0].legend(fontsize=4)
    _label(axes[0], "rank", "cumulative - even")
    axes[1].plot(found.balls.level, found.balls.covered - found.balls.level, lw=0.9)
    axes[1].axhspan(-0.02, 0.02, color="0.9", zorder=0)
    _label(axes[1], "credibility", "TARP - even")
    _draw_widths(axes[2], found.fits)
    axes[3].scatter(found.found[1], found.found[0] - found.found[1], s=1, lw=0)
    axes[3].set_ylim(-1, 1)
    _label(axes[3], r"$\log\,M/M_\odot$", "found - true [dex]")
    return figure


def _draw_widths(axes: Axes, fits: Sequence[Fits]) -> None:
    """Draw widths of log mass over exact ones."""
    for kind, colour in (("plain", "C1"), ("weighed", "C0")):
        for fit in fits:
            ratio = half_width(getattr(fit, kind), "log_mass") / half_width(fit.exact, "log_mass")
            axes.scatter(snr_of(fit.mocks), ratio, s=2, lw=0, color=colour)
        axes.scatter([], [], s=6, color=colour, label=kind)
    axes.set_xscale("log")
    axes.set_xticks([2, 5, 10, 20], ["2", "5", "10", "20"])
    axes.minorticks_off()
    axes.set_ylim(0.5, 2.5)
    axes.legend(fontsize=5)
    _label(axes, "S/N", "width / exact")


def _label(axes: Axes, x: str, y: str) -> None:
    """Write what axes are."""
    axes.set_xlabel(x, fontsize=7)
    axes.set_ylabel(y, fontsize=7)
    axes.tick_params(labelsize=6, direction="in", top=True, right=True)


def save(figure: Figure, name: str) -> None:
    """Write a figure of few colours."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    image = Image.open(buffer).convert("RGB").quantize(64)
    image.save(DOCS / name, optimize=True)


def section(sfh: str, found: Study) -> str:
    """Return what the page says of one form of history."""
    made = found.trained
    origin, settings = made.network.origin, made.network.settings["npe"]
    again = f", each up to {settings['max_epochs']} times" * (settings["max_epochs"] > 1)
    times = f" in {made.seconds:.0f} s ({made.cpu_seconds:.0f} CPU s)"
    times = times if np.isfinite(made.seconds) else ""
    loss = float(np.nanmin(made.network.held_loss))
    # quantiles of the Kolmogorov distribution
    noise = np.array([0.8276, 1.3581]) / np.sqrt(len(found.rank))
    parts = [
        f"## {sfh}",
        (
            f"Trained with {origin['n_mocks']:,} mocks{again}{times}; mean -ln density of mocks"
            f" held out {loss:.3f}. Of {len(found.rank):,} new mocks:"
        ),
        calibration_table(found),
        (
            f"Joint coverage by random points (TARP) is within {found.balls.deviation:.3f} of even;"
            f" of exact posteriors half would be within {noise[0]:.3f}, and 95 % within"
            f" {noise[1]:.3f}. R2 of log mass at S/N above 10 is {found.r2_mass:.4f} over"
            f" {MASSES[0]:.0f} to {MASSES[1]:.0f} dex, {found.r2_own:.4f} over those of the mocks."
        ),
    ]
    if found.fits:
        n_sed = sum(len(fit.mocks) for fit in found.fits)
        parts += [
            (
                f"{n_sed:,} mocks at z = {', '.join(f'{z:g}' for z in EXACT_AT)}, beside dense"
                " libraries. Medians of the ratio of posterior widths, before and after"
                " re-weighting; of the effective part of 500 draws; of the library's effective"
                " number of models:"
            ),
            width_table(found.fits),
            "Quantiles 0.16, 0.5 and 0.84 of log mass against the library's:",
            agreement_table(found.fits),
            (
                f"Coverage of 68 % intervals, to {np.sqrt(0.68 * 0.32 / n_sed):.3f} by chance,"
                " scatter of log mass in bins of S/N [dex], CPU time:"
            ),
            accuracy_table(found.fits),
            "Called outliers:",
            outlier_table(found.fits),
        ]
    return "\n\n".join([*parts, f"![{sfh}](npe-{sfh.replace('_', '-')}.png)"])


def page(studies: Mapping[str, Study], n_mocks: int) -> str:
    """Return the page."""
    intro = (
        "# Amortised posteriors, tried\n\n"
        f"Made by `python -m benchmarks.npe_page {n_mocks}` on {machine()}. Mocks have 19 bands"
        " with the depths of JADES pixels; 15 % lack ACS, 25 % half of the medium bands, and"
        f" 30 % any bands; redshifts are from {RANGE[0]:g} to {RANGE[1]:g} and given to the"
        " network; 5 % of flux is systematic error. S/N is the median over bands, systematic error"
        " included."
    )
    galaxies = {sfh: each.galaxies for sfh, each in studies.items() if each.galaxies}
    parts = [intro, acceptance_table(studies), COMMENT]
    parts += [GALAXIES, galaxy_table(galaxies)] if galaxies else []
    parts += [section(*each) for each in studies.items()]
    return (
        "\n\n".join([*parts, ONCE, CALIBRATION, WIDTHS, REDSHIFTS, AFTER_GALAXIES, HISTORY]) + "\n"
    )


def main(n_mocks: int, folder: Path | None) -> None:
    """Make the page."""
    settings = fit_settings(n_mocks)
    studies = {}
    for sfh in FORMS:
        chosen = problem(sfh, settings)
        kept = None if folder is None else folder / f"npe-{sfh}-{n_mocks}.zarr.zip"
        made = trained(chosen, kept=kept)
        studies[sfh] = study(chosen, made, n_exact=min(N_EXACT, n_mocks // 500))
        save(figure_of(studies[sfh]), f"npe-{sfh.replace('_', '-')}.png")
        print(section(sfh, studies[sfh]), flush=True)
    (DOCS / "npe.md").write_text(page(studies, n_mocks), encoding="utf-8")


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if sys.argv[1:] else LEARNT,
        Path(sys.argv[2]) if sys.argv[2:] else None,
    )
