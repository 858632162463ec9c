"""The page and the figures of `benchmarks.paper`."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import spearmanr

from pxdask.core.flags import Flag
from pxdask.simulate.mock_seds import LOOKBACKS
from pxdask.simulate.recovery import QUANTITIES, Recovery, recovery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from benchmarks.paper import Answer, Controls
    from pxdask.simulate.mock_seds import MockSeds

    Floats = NDArray[np.float64]

DOCS = Path(__file__).parent.parent / "docs"
N_PRIOR, N_CONTROL = 1024, 900
"""Models of the prior and mock galaxies that controls are made of."""

PUBLISHED = {
    "gauss": (0.0530, 0.1765, 0.7460),
    "stdt_dof03": (0.0489, 0.2344, 0.7685),
    "stdt_dof1": (0.0298, 0.1841, 0.7714),
    "stdt_dof2": (0.0350, 0.1725, 0.7677),
    "stdt_dof3": (0.0396, 0.1714, 0.7629),
    "stdt_dof5": (0.0441, 0.1720, 0.7569),
    "stdt_dof10": (0.0483, 0.1735, 0.7510),
    "mcmc": (0.0347, 0.1755, 0.7516),
}
"""Means over the five quantities of |offset|, scatter and rank correlation; appendix B."""

SHOWN = ("stdt_dof2", "mcmc")
"""Approaches of figures 7 and 8."""

LABELS = {
    "logzsol": r"$\log\,Z/Z_\odot$",
    "dust2": r"$\hat\tau_2$",
    "log_mw_age": r"$\log$ age / Gyr",
    "log_mass": r"$\log\,M_*/M_\odot$",
    "log_sfr_50myr": r"$\log$ SFR / $M_\odot$ yr$^{-1}$",
}


def recoveries(
    truth: Mapping[str, Floats], found: Mapping[str, Floats], names: Sequence[str] = QUANTITIES
) -> dict[str, Recovery]:
    """Return how well each quantity is found."""
    return {name: recovery(name, true=truth[name], found=found[name]) for name in names}


def recent_change(truth: Mapping[str, Floats]) -> Floats:
    """Return log10 of the SFR of the last 100 Myr over that of the 900 Myr before."""
    last, gyr = 10 ** truth["log_sfr_100myr"], 10 ** truth["log_sfr_1000myr"]
    before = np.maximum((gyr - 0.1 * last) / 0.9, 1e-3 * last)
    return np.asarray(np.log10(last / before))


def reasons(mocks: MockSeds, found: Mapping[str, Floats]) -> list[str]:
    """Return sentences that say what the errors go with."""
    truth = mocks.truth
    error = {name: found[name] - truth[name] for name in QUANTITIES}
    change, specific = recent_change(truth), truth["log_sfr_50myr"] - truth["log_mass"]
    quiet, active = specific < -11, specific > -10
    ratio = np.log10(np.maximum(found["dust2"], 1e-3) / np.maximum(truth["dust2"], 1e-3))
    clear = truth["dust2"] < 0.3

    def rank(a: Floats, b: Floats) -> str:
        return f"{spearmanr(a, b).statistic:.2f}"

    def mean(name: str, chosen: NDArray[np.bool_]) -> str:
        return f"{np.mean(error[name][chosen]):+.3f}"

    return [
        (
            "errors of mass are errors of age (rank correlation"
            f" {rank(error['log_mass'], error['log_mw_age'])}), and go with the change of star"
            " formation in the last 100 Myr against the 900 Myr before"
            f" ({rank(error['log_mass'], change)}; median change {np.median(change):+.2f} dex): a"
            " lull is taken for a long decline, and so for old stars;"
        ),
        (
            "of galaxies with a specific SFR below 1e-11 / yr, mass is found"
            f" {mean('log_mass', quiet)} dex, Z {mean('logzsol', quiet)}, SFR"
            f" {mean('log_sfr_50myr', quiet)}; above 1e-10 / yr, {mean('log_mass', active)},"
            f" {mean('logzsol', active)}, {mean('log_sfr_50myr', active)}: a double power law falls"
            " as a power of time, at its steepest by e in 1.3 Gyr, and metal-poor stars and"
            " dust make up for the young stars that it must have;"
        ),
        (
            f"where tau2 is below 0.3, its mean log ratio is {np.mean(ratio[clear]):+.2f} dex, as a"
            f" posterior cannot be below zero; elsewhere {np.mean(ratio[~clear]):+.2f}"
            f" ({np.std(ratio[~clear]):.2f})."
        ),
    ]


def table(rows: Mapping[str, Mapping[str, Recovery]], more: Mapping[str, Sequence[str]]) -> str:
    """Return recoveries as a Markdown table, with more columns at the end."""
    names = list(next(iter(rows.values())))
    extra = more.get("", ())
    lines = ["| | " + " | ".join([*names, *extra]) + " |"]
    lines.append("|---" * (1 + len(names) + len(extra)) + "|")
    for label, row in rows.items():
        cells = [f"{r.offset:+.3f} {r.scatter:.3f} {r.rank:.2f}" for r in row.values()]
        lines.append("| " + " | ".join([label, *cells, *more.get(label, ())]) + " |")
    return "\n".join(lines)


def means(row: Mapping[str, Recovery]) -> tuple[float, float, float]:
    """Return means of |offset|, scatter and rank correlation."""
    values = np.abs(np.array(list(row.values())))
    return tuple(float(value) for value in np.mean(values, axis=0))


def compared(rows: Mapping[str, Mapping[str, Recovery]], seconds: Mapping[str, float]) -> str:
    """Return the table of the approaches, beside the published means."""
    more = {"": ("mean of five", "published", "ms an SED")}
    for name, row in rows.items():
        texts = [" ".join(f"{v:.3f}" for v in values) for values in (means(row), PUBLISHED[name])]
        more[name] = (*texts, f"{1e3 * seconds[name]:.1f}")
    return table(rows, more)


def draw_recovery(axes: Axes, true: Floats, found: Floats, colour: Floats, text: str) -> None:
    """Draw found against true values."""
    ends = np.percentile(np.concatenate([true, found]), [0.3, 99.7])
    ends += np.array([-0.08, 0.08]) * np.ptp(ends)
    axes.plot(ends, ends, color="0.6", lw=0.8, zorder=0)
    axes.scatter(true, found, c=colour, s=5, cmap="RdYlBu", vmin=-12, vmax=-9.3, lw=0)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.text(0.04, 0.95, text, transform=axes.transAxes, va="top", fontsize=7)
    axes.tick_params(labelsize=7, direction="in", top=True, right=True)


def recovery_figure(answers: Mapping[str, Answer]) -> Figure:
    """Return found against true values, a row for each approach."""
    figure = Figure(figsize=(10, 2.15 * len(answers)), layout="constrained")
    grid = figure.subplots(len(answers), len(QUANTITIES), squeeze=False)
    for row, (label, one) in zip(grid, answers.items(), strict=True):
        colour = one.truth["log_sfr_50myr"] - one.truth["log_mass"]
        for axes, name in zip(row, QUANTITIES, strict=True):
            got = recovery(name, true=one.truth[name], found=one.found[name])
            text = f"$\\mu$={got.offset:+.3f}\n$\\sigma$={got.scatter:.3f}\n$\\rho$={got.rank:.2f}"
            draw_recovery(axes, one.truth[name], one.found[name], colour, text)
            axes.set_title(LABELS[name], fontsize=8)
        row[0].set_ylabel(label, fontsize=8)
    figure.supxlabel("true; colour: specific SFR, red is quiescent", fontsize=8)
    return figure


def approaches_figure(rows: Mapping[str, Mapping[str, Recovery]]) -> Figure:
    """Return the three numbers of every approach and quantity, and the published means."""
    figure = Figure(figsize=(7, 5.5), layout="constrained")
    names = list(rows)
    for i, axes in enumerate(figure.subplots(3, 1, sharex=True)):
        for name, marker in zip(QUANTITIES, "os^Dv", strict=True):
            values = [row[name][i] for row in rows.values()]
            axes.plot(names, values, marker, ms=5, label=LABELS[name])
        for values, style, label in (
            ([means(row)[i] for row in rows.values()], "-", "mean"),
            ([PUBLISHED[name][i] for name in names], "--", "mean, as published"),
        ):
            axes.plot(names, values, style, color="0.4", lw=1, label=label)
        axes.set_ylabel((r"$\mu$ [dex]", r"$\sigma$ [dex]", r"$\rho$")[i])
        axes.tick_params(labelsize=8, direction="in", right=True)
    figure.axes[0].axhline(0, color="0.8", lw=0.6, zorder=0)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right", fontsize=7)
    return figure


PAGE = """\
# The fitting test of the piXedfit paper

Made by `python -m benchmarks.paper`: {n} mock galaxies with histories that no fitted form has, 12
bands from FUV to W2 at S/N 10, fitted with double power laws by the eight approaches of
Abdurro'uf et al. (2021, ApJS 254, 15), section 5 and appendix B. `notebooks/10_validation.ipynb`
shows it on fewer galaxies. Cells hold the mean of log10(found / true) [dex], its standard
deviation [dex], and Spearman's rank correlation. Ages are mean ages by mass formed, metallicities
are means by mass, SFR is the mean of 50 Myr; of RDSPS the posterior mean, of MCMC the median.

## Eight approaches, photometry

{photometry}

"mean of five" is that of |offset|, scatter and rank, beside the paper's. For single quantities
the paper prints, of Student's t with 2 degrees of freedom and MCMC: mass |offset| <= 0.01,
scatter 0.09, rank 0.98; Z offset 0.1, scatter 0.2; offsets <= 0.13 and scatter <= 0.3 for all.

{mcmc}

![Found against true](paper-test.png)

![Eight approaches](paper-approaches.png)

## Photometry and a spectrum

{n_spectra} galaxies, {n_models} models; 1,140 wavelengths from 3622 to 10354 Angstrom at S/N 10
each, R = 2000, and the photometry, with one amplitude. Lines are masked, and so are wavelengths at
which the populations are too coarse. {about_spectra}

{spectra}

## Lookback times

Times since 30, 50, 70 and 90 % of the stars had formed, as in the paper's figures 10 and 11.

{lookback}

## Where offsets come from

One thing changed at a time; Gaussian RDSPS, {n_control} galaxies ({n_prior} models of the prior).

{controls}

The first row says that the fit itself is right: models drawn from the prior are found without
offset, as they must be. The others say what the mocks and the prior do:

{reasons}

The offset of mass is a choice of prior: ages of the system from 2 Gyr, or from 12.6 Gyr, move it
through zero. Smooth histories of one metallicity have the published offset, below 0.01 dex; bursts
add most of the rest, spread metals a little. Time bins, which can quench, leave a quarter of it
and a fifth of that of Z, which are mostly the double power law's; their ages are older, though. How
bursty galaxies of TNG100 are cannot be checked here; the mocks were not tuned to the published
numbers. The gain in the rank of Z that the paper has from spectra is not seen: the library is
sparse for them.

## What differs from the paper

- Galaxies are not of TNG100, which is not at hand: `pxdask.simulate.stochastic` says how they are
  made. Masses are shared out as in the paper (100, 80, 60, 40, 20 galaxies in steps of 0.5 dex
  from 1e9 Msun), dust is uniform in tau2 from 0 to 2.5, Calzetti's law, redshift 0.001. Galaxies
  that would have formed less than one star particle of TNG100 in 50 Myr are left out.
- Populations are BC03 with MILES and a Kroupa IMF, not FSPS with Padova isochrones and a Chabrier
  IMF; in mocks and models alike, and with nebulae in both.
- The prior of log tau starts at -1.5, not at -3: see "tau down to 1 Myr" above. log Z ends at
  0.39, not at 0.42.
- 262,144 models; the paper does not say how many. No error is added to those of the mocks.
"""


def write(
    answers: Mapping[str, Answer],
    with_spectra: Mapping[str, Answer],
    control: Controls,
) -> None:
    """Write the page and its figures."""
    rows = {name: recoveries(one.truth, one.found) for name, one in answers.items()}
    spectral = {name: recoveries(one.truth, one.found) for name, one in with_spectra.items()}
    times = tuple(f"lookback_{percent}" for percent in LOOKBACKS)
    groups = {"photometry": answers, "with spectrum": with_spectra}
    lookback = {
        f"{name}, {data}": recoveries(group[name].truth, group[name].found, times)
        for data, group in groups.items()
        for name in SHOWN
        if name in group
    }
    page = PAGE.format(
        n=answers["gauss"].found["log_mass"].size,
        photometry=compared(rows, {name: one.seconds for name, one in answers.items()}),
        mcmc=_of_chains(answers["mcmc"].fit, answers["gauss"].fit),
        **_numbers(with_spectra),
        about_spectra=_of_spectra(with_spectra),
        spectra=table(spectral, {}),
        lookback=table(lookback, {}),
        n_control=N_CONTROL,
        n_prior=N_PRIOR,
        controls=table(control.found, {}),
        reasons="\n".join(f"- {text}" for text in reasons(control.mocks, control.values)),
    )
    (DOCS / "paper-test.md").write_text(page, encoding="utf-8")
    shown = {
        f"{name}\n{data}": group[name]
        for data, group in groups.items()
        for name in SHOWN
        if name in group
    }
    save(recovery_figure(shown), DOCS / "paper-test.png")
    save(approaches_figure(rows), DOCS / "paper-approaches.png")


def save(figure: Figure, path: Path) -> None:
    """Write a figure in few colours, as files of the repository are small."""
    whole = BytesIO()
    figure.savefig(whole, dpi=75)
    Image.open(whole).convert("RGB").quantize(48).save(path, optimize=True)


def _of_chains(fit: xr.Dataset, rdsps: xr.Dataset) -> str:
    """Return how well chains of the published length have converged, and if it matters."""
    change = fit["log_mass"].values[:, 1] - rdsps["log_mass"].values[:, 1]
    flagged = np.mean((fit["flags"].values & int(Flag.NOT_CONVERGED)) != 0)
    return (
        f"After the published 1,000 steps of 100 walkers {100 * flagged:.0f} % of the chains are"
        f" flagged NOT_CONVERGED: the median autocorrelation time is"
        f" {np.median(fit['tau'].values):.0f} steps, the median of the largest split R-hat"
        f" {np.median(fit['rhat'].values):.2f}. That matters little, as walkers start from"
        " models drawn by their likelihood: medians of log mass differ from those of Gaussian"
        f" RDSPS by {np.std(change):.3f} dex (rms about {np.mean(change):+.3f})."
    )


def _numbers(answers: Mapping[str, Answer]) -> dict[str, int]:
    """Return how many galaxies have spectra, and how many models they are compared with."""
    first = next(iter(answers.values()))
    return {"n_spectra": first.found["log_mass"].size, "n_models": first.fit.attrs["n_models"]}


def _of_spectra(answers: Mapping[str, Answer]) -> str:
    """Return what of the spectra is fitted, and how well it is sampled."""
    lines = []
    for name in SHOWN:
        if name not in answers:
            lines.append(f"{name} was not run on the spectra.")
            continue
        fit = answers[name].fit
        few = np.mean((fit["flags"].values & int(Flag.FEW_MODELS)) != 0)
        lines.append(
            f"By {name}, {np.median(fit['spectrum_n_used'].values):.0f} wavelengths count in"
            f" {1e3 * answers[name].seconds:.0f} ms; the median effective number of models is"
            f" {np.median(fit['n_eff'].values):.0f}, {100 * few:.0f} % of the galaxies have fewer"
            " than ten and are flagged FEW_MODELS."
        )
    return "\n".join(lines)
