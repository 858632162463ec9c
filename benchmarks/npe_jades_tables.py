"""Tables and maps of `benchmarks.npe_jades`."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from pxdask.core.flags import Flag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    import pxdask
    from benchmarks.npe_jades import Runs, Whole

    Floats = NDArray[np.float64]

RESULTS = {"log_mass": "log mass", "log_mw_age": "log age", "av": "A_V"}
PAINTED = {
    "log_mass_density": r"$\log\,\Sigma_*$ [Msun / kpc$^2$]",
    "log_mw_age": r"$\log$ age [Gyr]",
    "av": r"$A_V$ [mag]",
}


def of_pixels(run: pxdask.Run, name: str, galaxies: Iterable[str]) -> Floats:
    """Return a variable of the fits of all pixels, quantiles last."""
    return np.concatenate([run.dataset(galaxy, "fit")[name].values for galaxy in galaxies])


def flagged(run: pxdask.Run, flag: Flag, galaxies: Iterable[str]) -> NDArray[np.bool_]:
    """Return which pixels have a flag."""
    return np.asarray((of_pixels(run, "flags", galaxies).astype(int) & int(flag)) != 0)


def agreement_table(runs: Runs) -> str:
    """Return how far medians by the network are from RDSPS's."""
    lines = [
        "| images | galaxy | pixels | | odd | handed over | efficiency | "
        + " | ".join(f"{label} [dex], [sigma]".replace("A_V [dex]", "A_V [mag]")
                     for label in RESULTS.values())
        + " | width |",
        "|---" * 11 + "|",
    ]  # fmt: skip
    for images, by_method in runs.items():
        for galaxy in by_method["RDSPS"].galaxies:
            for method in list(by_method)[1:]:
                cells = agreement_cells(by_method["RDSPS"], by_method[method], galaxy)
                lines.append(f"| {images} | {galaxy} | {cells[0]} | {method} | "
                             + " | ".join(cells[1:]) + " |")  # fmt: skip
    return "\n".join(lines)


def agreement_cells(exact: pxdask.Run, other: pxdask.Run, galaxy: str) -> list[str]:
    """Return how many pixels there are, shares of flags, and differences of pixels not handed over.

    Median and half of the central 68 % of differences; the same in units of RDSPS's half-width;
    the median of widths of log mass over RDSPS's.
    """
    name = [galaxy]
    handed = flagged(other, Flag.HANDED_OVER, name)
    odd = flagged(other, Flag.OUT_OF_DISTRIBUTION, name)
    efficiency = float(np.nanmedian(of_pixels(other, "efficiency", name)))
    cells = [str(handed.size), f"{odd.mean():.1%}", f"{handed.mean():.1%}", f"{efficiency:.2f}"]
    for result in RESULTS:
        a, b = (of_pixels(run, result, name)[~handed] for run in (exact, other))
        apart, sigma = b[:, 1] - a[:, 1], 0.5 * (a[:, 2] - a[:, 0])
        text = [f"{np.median(v):+.3f} {spread(v):.3f}" for v in (apart, apart / sigma)]
        cells.append(", ".join(text))
    a, b = (of_pixels(run, "log_mass", name)[~handed] for run in (exact, other))
    return [*cells, f"{np.median((b[:, 2] - b[:, 0]) / (a[:, 2] - a[:, 0])):.3f}"]


def spread(values: Floats) -> float:
    """Return half of the central 68 % of some values."""
    low, high = np.percentile(values, (16, 84))
    return float(0.5 * (high - low))


def milliseconds(run: pxdask.Run) -> tuple[float, float]:
    """Return CPU time of a pixel [ms]: in the median block, and in all, first uses included."""
    table = run.manifest()
    table = table[(table["stage"] == "fit") & (table["outcome"] == "done")]
    n_pixel = sum(run.dataset(name, "bins").sizes["bin"] for name in run.galaxies)
    median = float(np.median(table["cpu_s"])) / run.config.fit.block_size
    return 1e3 * median, 1e3 * float(np.sum(table["cpu_s"])) / n_pixel


def time_table(runs: Mapping[str, pxdask.Run]) -> str:
    """Return CPU times."""
    lines = ["| | median block | all blocks, making models included |", "|---|---|---|"]
    for method, run in runs.items():
        median, total = milliseconds(run)
        lines.append(f"| {method} | {median:.2f} | {total:.2f} |")
    return "\n".join(lines)


def sum_table(runs: Runs) -> str:
    """Return sums over pixels beside fits of the whole light, as `pxdask collect` tells them."""
    lines = [
        "| images | galaxy | | sum | whole light | difference | efficiency | flags | of log SFR |",
        "|---" * 9 + "|",
    ]
    for images, by_method in runs.items():
        tables = {}
        for method, run in by_method.items():
            run.collect(formats=())
            tables[method] = run.table()
        for k, galaxy in enumerate(by_method["RDSPS"].galaxies):
            for method, run in by_method.items():
                one, whole = tables[method][k], run.dataset(galaxy, "integrated").isel(bin=0)
                flags = Flag(int(whole["flags"])) & (Flag.OUT_OF_DISTRIBUTION | Flag.HANDED_OVER)
                names = " ".join(f.name.lower() for f in flags if f.name)
                known, error = "efficiency" in whole, number(one, "log_mass_difference_err")
                cells = [
                    images, galaxy, method,
                    f"{number(one, 'log_mass'):.3f}",
                    f"{number(one, 'log_mass_integrated_p50'):.3f}",
                    f"{number(one, 'log_mass_difference'):+.3f} +- {error:.3f}",
                    f"{float(whole['efficiency']):.3f}" if known else "",
                    names,
                    f"{number(one, 'log_sfr_difference'):+.3f}",
                ]  # fmt: skip
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def number(row: Any, name: str) -> float:  # noqa: ANN401  a row of an astropy table
    """Return a number of a table's row, whatever its unit."""
    return float(getattr(row[name], "value", row[name]))


def image_table(runs: Mapping[str, pxdask.Run]) -> str:
    """Return what RDSPS finds of images made in several ways."""
    lines = ["| images | galaxy | pixels | chi2: 16, 50, 84 % | log mass: sum |", "|---" * 5 + "|"]
    for images, run in runs.items():
        for galaxy in run.galaxies:
            chi2 = of_pixels(run, "chi2", [galaxy])
            mass = of_pixels(run, "log_mass", [galaxy])[:, 1]
            ends = " ".join(f"{value:.1f}" for value in np.nanpercentile(chi2, (16, 50, 84)))
            total = np.log10(np.nansum(10.0**mass))
            lines.append(f"| {images} | {galaxy} | {chi2.size} | {ends} | {total:.3f} |")
    return "\n".join(lines)


def offset_table(found: Mapping[str, Mapping[str, Floats]]) -> str:
    """Return how far bands of galaxies lie from the reference [pix]."""
    bands = list(next(iter(found.values())))
    lines = ["| | " + " | ".join(bands) + " |", "|---" * (len(bands) + 1) + "|"]
    for galaxy, by_band in found.items():
        cells = [f"{x:+.2f} {y:+.2f}" for x, y in by_band.values()]
        lines.append(f"| {galaxy} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def whole_table(wholes: Mapping[str, Whole]) -> str:
    """Return fits of whole light with errors of three kinds."""
    kinds = ("in quadrature", "in quadrature, no F435W", "grown by the noise's correlation")
    lines = ["| galaxy | errors | chi2 | log mass | log age | A_V |", "|---" * 6 + "|"]
    for galaxy, whole in wholes.items():
        for k, kind in enumerate(kinds):
            cells = [f"{float(whole.fit['chi2'][k]):.1f}"]
            for name in RESULTS:
                low, middle, high = whole.fit[name].values[k]
                cells.append(f"{middle:.3f} -{middle - low:.3f} +{high - middle:.3f}")
            lines.append(f"| {galaxy} | {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


# figure


def painted(run: pxdask.Run, galaxy: str, values: Floats) -> Floats:
    """Return a map of what pixels have."""
    bin_map = run.dataset(galaxy, "bins")["bin_map"].values
    return np.where(bin_map >= 0, values[bin_map], np.nan)


def figure_of(exact: pxdask.Run, other: pxdask.Run) -> Figure:
    """Return maps of both methods, of their difference over the error, and of the flags."""
    names = exact.galaxies
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    rows = figure.subplots(len(names), 3 * len(PAINTED) + 1)
    for axes, galaxy in zip(rows, names, strict=True):
        a, b = exact.maps(galaxy), other.maps(galaxy)
        flags = other.dataset(galaxy, "fit")["flags"].values.astype(int)
        odd = (flags & int(Flag.OUT_OF_DISTRIBUTION)) != 0
        handed = (flags & int(Flag.HANDED_OVER)) != 0
        box = _box(a["log_mass"].values[1])
        for k, (name, label) in enumerate(PAINTED.items()):
            low, middle, high = a[name].values
            ends = np.nanpercentile(middle, (1, 99))
            sigma = np.where(high > low, 0.5 * (high - low), np.nan)
            apart = (b[name].values[1] - middle) / sigma
            triple = axes[3 * k : 3 * k + 3]
            for one, image in zip(triple[:2], (middle, b[name].values[1]), strict=True):
                _show(one, image[box], ends=ends, colours="viridis")
            _show(triple[2], apart[box], ends=(-0.5, 0.5), colours="RdBu_r")
            for one, text in zip(triple, (label, "network", "difference / error"), strict=True):
                one.set_title(text if galaxy == names[0] else "", fontsize=7)
        state = painted(other, galaxy, odd + 2.0 * handed)
        _show(axes[-1], state[box], ends=(0, 3), colours="magma")
        axes[-1].set_title("odd 1, handed over 2" if galaxy == names[0] else "", fontsize=7)
        axes[0].set_ylabel(galaxy, fontsize=7)
    return figure


def _box(image: Floats) -> tuple[slice, slice]:
    """Return the part of an image that has values."""
    y, x = np.nonzero(np.isfinite(image))
    return slice(y.min() - 1, y.max() + 2), slice(x.min() - 1, x.max() + 2)


def _show(axes: Axes, image: Floats, *, ends: Sequence[float] | Floats, colours: str) -> None:
    """Draw a map with its scale of colours."""
    shown = axes.imshow(image, origin="lower", vmin=ends[0], vmax=ends[1], cmap=colours)
    axes.set(xticks=[], yticks=[])
    bar = axes.figure.colorbar(shown, ax=axes, shrink=0.8, pad=0.02)
    bar.ax.tick_params(labelsize=5, length=1)


def save(figure: Figure, path: Path) -> None:
    """Write a figure of at most 100 kB."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    Image.open(buffer).convert("RGB").save(path, quality=78, optimize=True)
