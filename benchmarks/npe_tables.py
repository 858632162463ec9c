"""Tables of the acceptance study of amortised posteriors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.npe_galaxies import KINDS, SIZES, called_of
from benchmarks.npe_study import BINS, flagged, snr_of
from pxdask.npe.calibration import coverage, scatter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from benchmarks.npe_page import Study
    from benchmarks.npe_study import Fits

    Floats = NDArray[np.float64]

SHOWN = ("log_mass", "log_mw_age", "av", "logzsol")
"""Results whose widths are compared."""

CLOSE = 0.05
"""Difference of quantiles that agree [dex]."""

OUTLIERS = {
    "good": "<= 5 %",
    "star": ">= 90 %",
    "band off by 10": ">= 90 %",
    "redshift off by 1": ">= 90 %",
}
"""Kinds of SEDs, and what part of them is to be called outliers."""


def half_width(fit: xr.Dataset, name: str) -> Floats:
    """Return half of the central 68 % interval of a result."""
    low, high = (fit[name].sel(quantile=q).values for q in (0.16, 0.84))
    return np.asarray(0.5 * (high - low))


def in_bin(fits: Fits, ends: tuple[float, float]) -> NDArray[np.bool_]:
    """Return which SEDs have an S/N between two."""
    snr = snr_of(fits.mocks)
    return np.asarray((snr >= ends[0]) & (snr < ends[1]))


def width_table(fits: Sequence[Fits]) -> str:
    """Return the medians of widths over exact ones: before and after re-weighting."""
    lines = ["| S/N | SEDs | " + " | ".join(SHOWN) + " | efficiency | models |"]
    lines.append("|---" * (len(SHOWN) + 4) + "|")
    for ends in BINS:
        cells = []
        for name in SHOWN:
            ratios = [width_ratio(fits, kind, name, ends) for kind in ("plain", "weighed")]
            cells.append(f"{ratios[0]:.3f} {ratios[1]:.3f}")
        more = [_median(fits, "weighed", "efficiency", ends), _median(fits, "exact", "n_eff", ends)]
        n_sed = sum(int(in_bin(fit, ends).sum()) for fit in fits)
        tail = [f"{more[0]:.2f}", f"{more[1]:.0f}"]
        cells = [f"{ends[0]:.0f}-{ends[1]:.0f}", str(n_sed), *cells, *tail]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def width_ratio(fits: Sequence[Fits], kind: str, name: str, ends: tuple[float, float]) -> float:
    """Return the median of posterior widths over those of dense libraries."""
    each = [
        (half_width(getattr(fit, kind), name) / half_width(fit.exact, name))[in_bin(fit, ends)]
        for fit in fits
    ]
    return float(np.nanmedian(np.concatenate(each)))


def _median(fits: Sequence[Fits], kind: str, name: str, ends: tuple[float, float]) -> float:
    """Return the median of a variable of SEDs in a bin of S/N."""
    each = [getattr(fit, kind)[name].values[in_bin(fit, ends)] for fit in fits]
    return float(np.nanmedian(np.concatenate(each)))


def agreement_table(fits: Sequence[Fits]) -> str:
    """Return how far quantiles of the network's fits are from exact ones."""
    lines = [f"| | rms [dex] | within {CLOSE} dex | within 0.1 sigma |", "|---|---|---|---|"]
    for kind, label in (("plain", "network alone"), ("weighed", "re-weighted")):
        apart = np.concatenate(
            [getattr(fit, kind)["log_mass"].values - fit.exact["log_mass"].values for fit in fits]
        )
        sigma = np.concatenate([half_width(fit.exact, "log_mass") for fit in fits])[:, None]
        close = np.mean(np.concatenate([_is_close(fit, kind) for fit in fits]))
        near = np.mean(np.abs(apart / sigma) <= 0.1)
        rms = np.sqrt(np.nanmean(apart**2))
        lines.append(f"| {label} | {rms:.4f} | {close:.1%} | {near:.1%} |")
    return "\n".join(lines)


def accuracy_table(fits: Sequence[Fits]) -> str:
    """Return coverage and scatter of three ways to fit the same SEDs."""
    lines = [
        "| | "
        + " | ".join(f"{name} 68 %" for name in SHOWN)
        + " | "
        + " | ".join(f"sigma(log M) {low:.0f}-{high:.0f}" for low, high in BINS)
        + " | ms an SED |",
        "|---" * (len(SHOWN) + len(BINS) + 2) + "|",
    ]
    for kind, label in (
        ("plain", "network alone"), ("weighed", "re-weighted"), ("exact", "dense library"),
    ):  # fmt: skip
        cells = []
        for name in SHOWN:
            inside = [_covered(getattr(fit, kind), name, fit.truth[name]) for fit in fits]
            cells.append(f"{np.mean(np.concatenate(inside)):.3f}")
        for ends in BINS:
            found = [
                (
                    getattr(fit, kind)["log_mass"].sel(quantile=0.5).values[in_bin(fit, ends)],
                    fit.truth["log_mass"][in_bin(fit, ends)],
                )
                for fit in fits
            ]
            pairs = [np.concatenate(each) for each in zip(*found, strict=True)]
            cells.append(f"{scatter(*pairs):.3f}")
        cells.append(f"{1e3 * np.mean([fit.seconds[kind] for fit in fits]):.2f}")
        lines.append("| " + " | ".join([label, *cells]) + " |")
    return "\n".join(lines)


def _covered(fit: xr.Dataset, name: str, truth: Floats) -> NDArray[np.bool_]:
    """Return which truths are within the 68 % interval."""
    low, high = (fit[name].sel(quantile=q).values for q in (0.16, 0.84))
    return np.asarray((truth >= low) & (truth <= high))


def outlier_table(fits: Sequence[Fits]) -> str:
    """Return the part of SEDs that are called outliers."""
    names = ["good", *fits[0].outliers]
    lines = ["| S/N | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for ends in (*BINS, (BINS[0][0], BINS[-1][1])):
        cells = [f"{called(fits, name, ends):.1%}" for name in names]
        lines.append(f"| {ends[0]:.0f}-{ends[1]:.0f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def called(fits: Sequence[Fits], name: str, ends: tuple[float, float]) -> float:
    """Return the part of SEDs of a kind that are called outliers, in a bin of S/N."""
    each = [
        flagged(fit.weighed if name == "good" else fit.outliers[name])[in_bin(fit, ends)]
        for fit in fits
    ]
    return float(np.mean(np.concatenate(each)))


def calibration_table(found: Study) -> str:
    """Return coverage and evenness of ranks of each target."""
    lines = ["| target | 68 % | 95 % | KS distance | p |", "|---|---|---|---|---|"]
    both = coverage(found.rank), coverage(found.rank, level=0.95)
    for name, one, two, distance, p in zip(
        found.names, *both, found.even.distance, found.even.p_value, strict=True
    ):
        lines.append(f"| {name} | {one:.3f} | {two:.3f} | {distance:.4f} | {p:.3f} |")
    return "\n".join(lines)


def acceptance_table(studies: Mapping[str, Study]) -> str:
    """Return what was wanted of networks, and what was found."""
    lines = ["| | wanted | " + " | ".join(studies) + " |", "|---" * (len(studies) + 2) + "|"]
    wanted = [
        ("mocks learnt from", ""),
        ("68 % coverage, least and greatest", "0.65-0.71"),
        ("least p of ranks", ">= 0.01"),
        ("joint coverage off by", "<= 0.02"),
        ("R2 of log mass over 4-12 dex", ">= 0.99"),
    ]
    wanted += [
        (f"widths {label}, S/N {low:.0f}-{high:.0f}", aim)
        for label, aim in (("of the network alone", "0.90-1.10"), ("re-weighted", "0.97-1.03"))
        for low, high in BINS
    ]
    wanted.append((f"log mass re-weighted: quantiles within {CLOSE} dex", "all"))
    wanted += [(f"called outliers: {name}", aim) for name, aim in OUTLIERS.items()]
    if all(each.galaxies for each in studies.values()):
        of = f"galaxies of {SIZES[0]} SEDs called odd: redshift"
        wanted += [(f"{of} right", OUTLIERS["good"]), (f"{of} off by 1", ">= 90 %")]
    found = [_found(each) for each in studies.values()]
    lines += [
        "| " + " | ".join([name, aim, *cells]) + " |"
        for (name, aim), *cells in zip(wanted, *found, strict=False)
    ]
    return "\n".join(lines)


def _found(study: Study) -> list[str]:
    """Return what was found of one form of history; without widths where none were compared."""
    covered = coverage(study.rank)
    cells = [
        f"{study.trained.network.origin['n_mocks']:,}",
        f"{covered.min():.3f}-{covered.max():.3f}",
        f"{study.even.p_value.min():.3f}",
        f"{study.balls.deviation:.3f}",
        f"{study.r2_mass:.4f}",
    ]
    if not study.fits:
        return cells
    for kind in ("plain", "weighed"):
        for ends in BINS:
            ratios = [width_ratio(study.fits, kind, name, ends) for name in SHOWN]
            cells.append(f"{min(ratios):.3f}-{max(ratios):.3f}")
    close = np.concatenate([_is_close(fit, "weighed") for fit in study.fits])
    odd = [f"{called(study.fits, name, (BINS[0][0], BINS[-1][1])):.1%}" for name in OUTLIERS]
    cells += [f"{np.mean(close):.1%}", *odd]
    if study.galaxies:
        wrong, right = called_of(study.galaxies[KINDS[0]], n=SIZES[0])
        cells += [f"{right:.1%}", f"{wrong:.1%}"]
    return cells


def _is_close(fits: Fits, kind: str) -> NDArray[np.bool_]:
    """Return which SEDs have quantiles of log mass that agree with a dense library's."""
    apart = getattr(fits, kind)["log_mass"].values - fits.exact["log_mass"].values
    return np.asarray(np.all(np.abs(apart) <= CLOSE, axis=-1))
