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
from pxdask.core.random import stream
from pxdask.npe.calibration import r2, sbc_ks, tarp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from benchmarks.npe_galaxies import Pool
    from benchmarks.npe_study import Fits, Problem, Trained
    from pxdask.npe.calibration import Tarp, Uniformity
    from pxdask.npe.mocks import Mocks

    Floats = NDArray[np.float64]

DOCS = Path(__file__).parent.parent / "docs"
N_TEST, N_DRAWS, N_EXACT = 5000, 500, 200
FORMS = ("delayed_tau", "dirichlet")
MASSES = (4.0, 12.0)
"""Ends of log mass, over which the published R2 is [dex(Msun)]."""


COMMENT = """\
Coverage and widths: the range of all targets, of log mass, log age, A_V and metallicity; outliers:
S/N 2-30. Widths of a network alone are a matter of computing time: every mock is learnt from once
and nothing by heart, and where a posterior is a small part of the prior, what is not yet learnt
widens it. For delayed tau at S/N 10-30 they are at most 1.154 of the exact ones with 8 million
mocks, 1.113 with 16 and 1.084 with 32, the default. A training with these takes some 37 CPU
minutes, for Dirichlet histories 55, beside other work on 4 cores; its check of redshifts, below, 8
and 12 more.

Where widths matter, draws are re-weighted, as by default. They come from the network with its
Gaussians widened by a fifth: what a network proposes too seldom has few draws of great weight,
which most SEDs lack. Without, 60 SEDs of Dirichlet histories at S/N 10-30, z = 2.5, had widths of
0.972 of the exact ones for mass and 0.963 for age with 300 effective draws, and 0.994 and 0.996
with 4,000; the library, of a million models, and a quarter of it agree to 0.1 per cent. Of 300
effective draws, a quantile of a mass known to 0.2 dex is uncertain by 0.02 dex: most of the SEDs
whose quantiles differ by 0.05 do so by chance. With 3,000 effective draws and models on both sides,
and a library of a million (`python -m benchmarks.npe_quantiles`), 99.7 % of the same SEDs of
delayed tau agree, and 99.8 % of Dirichlet histories, with an rms of 0.0065 and 0.0040 dex. The five
that remain have three to five bands at S/N 2-3, and masses uncertain by 0.2 to 1 dex, of one hump.
There it matters that a library weighs models by the likelihood at the best amplitude: integrals
over masses are within 0.03 dex of the re-weighted quantiles of four of them, and 0.04 to 0.07 from
the library's. The fifth, of 3 bands and 1 dex, is off by 0.07, by 0.04 with 140,000 effective
draws, and the library by 0.10.

The exact posteriors are those of dense libraries (RDSPS, 262,144 models). They weigh models by the
likelihood at the best amplitude, and scatter masses by its error; integrals over a mass with a flat
prior, of as many other models, have the same widths to 0.5 per cent in each bin of S/N (60 SEDs in
each, at z = 3.5, for both forms of history; without the scatter, masses would be 0.5 to 1.5 per
cent narrower), and MCMC to 1.5 per cent (15 SEDs of delayed tau in each, z = 2.5)."""
"""What is to be said of the table."""

REDSHIFTS = """\
One SED is called odd less often than wanted (90 %) where its redshift is wrong by 1. `python -m
benchmarks.npe_redshifts` says what any test of one SED could do: it computes evidences as sums over
two million models, with nothing learnt. The best test of a redshift against all others, the ratio
of evidences, calls so many odd if 5 % of false alarms are all spent on it, and that against two
redshifts known to be 1 off alone (600 SEDs; to 0.02):

| S/N | delayed_tau, others | delayed_tau, 1 off | dirichlet, others | dirichlet, 1 off |
|---|---|---|---|---|
| 2-5 | 0.86 | 0.92 | 0.61 | 0.70 |
| 5-10 | 0.94 | 0.97 | 0.78 | 0.82 |
| 10-30 | 0.96 | 0.98 | 0.92 | 0.93 |
| 2-30 | 0.92 | 0.96 | 0.78 | 0.83 |

So for Dirichlet histories the information is not in the fluxes of one SED, whatever the method, and
for delayed tau nearly all of it is needed. Networks learn p(z | fluxes), as probabilities of 200
parts of the span of redshifts, from 4 million mocks: at 5 % of false alarms that ratio alone calls
0.89 and 0.75 odd over S/N 2-30, on SEDs of which the exact ratio calls 0.90 and 0.78; a mixture of
8 Gaussians that learnt from 2 million mocks, as before, 0.83 and 0.70. An SED's chances by the
three figures, chi-square, evidence and this ratio, are weighed as one. Limits are learnt from mocks
of all S/N from 1 on: half of them are fainter than the tables below, and have more of the false
alarms, as a redshift that is right looks odd more often there."""
"""What can be known of redshifts."""

GALAXIES = """\
All SEDs of a galaxy have one redshift. Where its blocks of bins are joined, their ratios are
summed, and all its bins flagged `odd_redshift` where the sum is below ln(1/20). The mean of 1/ratio
over SEDs of a redshift is one at most, so that, as far as the network's density is right and SEDs
are independent, no more than 5 % of galaxies whose redshift is right are there (Markov's
inequality), however faint and however many their SEDs are; at a sum of 0 a quarter of the galaxies
would be that have SEDs of S/N below 1. An SED counts ln(1/20) at least: none decides alone, and a
star or a bad band is outweighed by two good SEDs, whose ratio is some 2 each. SEDs without a
posterior, and those such as no mock of the training was, say nothing; those that are outliers
count, as a wrong redshift makes outliers. Galaxies of 20 redshifts, of other mocks, all but the
last at S/N 2-30:"""
"""What SEDs of a galaxy tell together."""

AFTER_GALAXIES = """\
SEDs of real galaxies are neither all alike nor all different: where all are of one model, what it
has in common with models of another redshift is in each of them. Without the least value of an SED,
33 and 47 % of the Dirichlet galaxies with 5 and 20 SEDs would be called odd of which a fifth is
spoilt. Of the three JADES galaxies of [npe-jades.md](npe-jades.md), with 480 pixels each at a
median S/N of 9, sums are 847 to 1,520 at the redshifts of the catalogue and below -970 at those
0.5, 1 and 2 off either way, by a network's check for z = 1-7 from 2 million mocks with the noise of
these pixels; of sets of 5 pixels taken at random, all are odd at redshifts 1 off but for 3.3 % or
less, and none at the right ones."""
"""What is to be said of that."""

HISTORY = """\
What made the difference, as mean -ln density of delayed tau models held out: a million mocks learnt
from twelve times, 2.76; the redshift as harmonics of ln(1 + z) too, 2.53; fluxes over the scale
beside those over errors, which the systematic error saturates, 2.50; Muon instead of Adam, and 8
million mocks each learnt from once, for half as much CPU time again, 2.20; 32 million, 2.06. Before
all this, widths of the network alone were 1.16, 1.25 and 1.49 of the exact ones in the three bins,
for masses of delayed tau. Trainings take 3.4 GB, as a million mocks are in memory at a time."""
"""How networks came to be so sharp."""


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
    draws = draws_of(made.network, mocks, n_draws=N_DRAWS)
    rank = rank_of(draws, mocks)
    median = np.median(draws.log_mass, axis=1)
    bright = snr_of(mocks) > 10
    # scaling a source changes its mass alone: any range of masses is as good
    shift = stream(TEST_SEED, "masses").uniform(*MASSES, len(mocks)) - mocks.log_mass
    pair = (median + shift)[bright], (mocks.log_mass + shift)[bright]
    return Study(
        (*mocks.names, "log mass"),
        rank,
        sbc_ks(rank),
        _balls(joined(draws), mocks, median),
        float(r2(*pair)),
        float(r2(median[bright], mocks.log_mass[bright])),
        pair,
        [fits_at(chosen, made.network, z, n=n_exact) for z in EXACT_AT if n_exact],
        made,
        None if made.network.redshift_check is None else pools(chosen, made.network),
    )


def _balls(draws: Floats, mocks: Mocks, median: Floats) -> Tarp:
    """Return joint coverage; masses are relative to the posterior's median, in units of 1.2 dex."""
    truth, draws = truth_of(mocks), draws.copy()
    truth[:, -1] = (truth[:, -1] - median) / 1.2
    draws[..., -1] = (draws[..., -1] - median[:, None]) / 1.2
    rng = stream(TEST_SEED, "balls")
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
    parts = [
        f"## {sfh}",
        (
            f"Trained with {origin['n_mocks']:,} mocks{again}{times}; mean -ln density of mocks"
            f" held out {loss:.3f}. Of {len(found.rank):,} new mocks:"
        ),
        calibration_table(found),
        (
            f"Joint coverage by random points (TARP) is within {found.balls.deviation:.3f} of even."
            f" R2 of log mass at S/N above 10 is {found.r2_mass:.4f} over {MASSES[0]:.0f} to"
            f" {MASSES[1]:.0f} dex, {found.r2_own:.4f} over the masses of the mocks."
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
            "Coverage of 68 % intervals, scatter of log mass in bins of S/N [dex], CPU time:",
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
    parts = [intro, acceptance_table(studies), COMMENT, REDSHIFTS]
    parts += [GALAXIES, galaxy_table(galaxies), AFTER_GALAXIES] if galaxies else []
    parts.append(HISTORY)
    return "\n\n".join([*parts, *(section(*each) for each in studies.items())]) + "\n"


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
