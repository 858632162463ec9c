"""SED-similarity binning of a mock disc, against the published algorithm in plain numpy.

CPU seconds on one core, the least of several runs. The exponent is the slope of log time with
log pixels from 131 x 131 to 1000 x 1000 in 12 bands. Memory is what binning adds to its inputs,
beside the estimate that refuses galaxies.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import psutil

from benchmarks.harness import Row, row
from pxdask.kernels.binning import binning_bytes, sed_similarity_bins

SETTINGS = {"reference": 4, "min_diameter": 4.0, "max_chi2": 4.0, "ring_width": 2.0}
SNR = 10.0

MARKS = {131: 0.37, 300: 6.5, 600: 101.0}
"""CPU seconds of the reference implementation by side, in 12 bands (measured, 2 cores)."""


def disc(side: int, *, n_band: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return flux, error and region of an exponential disc with a colour gradient."""
    rng = np.random.default_rng(1)
    y, x = np.indices((side, side)) - (side - 1) / 2
    radius = np.hypot(y, x) / (side / 2)
    flux = np.empty((n_band, side, side))
    error = np.full_like(flux, 3.0)
    for band, slope in enumerate(np.linspace(3.0, 5.0, n_band)):  # one by one: little memory
        flux[band] = 100.0 * np.exp(-slope * radius) + 3.0 * rng.normal(size=radius.shape)
    return flux, error, radius < 0.95


def plain(flux: np.ndarray, error: np.ndarray, region: np.ndarray, snr: float) -> np.ndarray:
    """Bin by the published algorithm, scanning the whole image for every seed and ring."""
    bins = np.full(region.shape, -1)
    free = region.copy()
    y, x = np.indices(region.shape)
    variance = error**2

    def passes(member: np.ndarray) -> bool:
        return bool(np.all(flux[:, member].sum(1) >= snr * np.sqrt(variance[:, member].sum(1))))

    number = 0
    while free.any():
        if not passes(free):
            bins[free] = number
            break
        seed = np.unravel_index(
            np.argmax(np.where(free, flux[SETTINGS["reference"]], -np.inf)), free.shape
        )
        distance = np.hypot(y - seed[0], x - seed[1])
        radius = SETTINGS["min_diameter"] / 2
        member = free & (distance <= radius)
        f0, v0 = flux[:, seed[0], seed[1], None], variance[:, seed[0], seed[1], None]
        while not passes(member) and radius < max(free.shape) * 1.5:
            ring = free & (distance > radius) & (distance <= radius + SETTINGS["ring_width"])
            radius += SETTINGS["ring_width"]
            if not ring.any():
                continue
            f, v = flux[:, ring], variance[:, ring] + v0
            scale = (f * f0 / v).sum(0) / (f0**2 / v).sum(0)
            chi2 = ((f - scale * f0) ** 2 / v).sum(0) / len(flux)
            member[ring] = chi2 <= SETTINGS["max_chi2"]
        if not passes(member):
            bins[free] = number
            break
        bins[member] = number
        free &= ~member
        number += 1
    return bins


def fast(flux: np.ndarray, error: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Bin with the package."""
    return sed_similarity_bins(flux, error, region, min_snr=np.full(len(flux), SNR), **SETTINGS)


def least_cpu_seconds(cube: tuple[np.ndarray, np.ndarray, np.ndarray], *, repeats: int) -> float:
    """Return the least CPU time of binning [s]: what other work on the machine adds least to."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        fast(*cube)
        times.append(time.process_time() - start)
    return min(times)


def peak_memory() -> float:
    """Return the most memory this process has had so far [GB]."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def size_rows(side: int, n_band: int, seconds: float, n_pix: int) -> list[Row]:
    """Return the time and the pixels per second of one size, against the reference's best."""
    mark = MARKS.get(side) if n_band == 12 else None
    name = f"binning_{side}" if n_band == 12 else f"binning_{side}_{n_band}_bands"
    rows = []
    if mark is not None:
        rows.append(row(f"{name}_cpu_s", seconds, "s", baseline=mark, goal=f"<= {mark}"))
    else:
        # the reference at its own speed at 300 x 300, though it slows down with size
        baseline = n_pix * MARKS[300] / 300**2
        rows.append(row(f"{name}_cpu_s", seconds, "s", baseline=baseline))
    rate = n_pix / rows[0].baseline
    rows.append(row(f"{name}_pixels_per_s", n_pix / seconds, "1/s", baseline=rate))
    return rows


def speedup(seconds: float) -> Row:
    """Return how many times faster 300 x 300 pixels are than in numpy, if the bins agree."""
    cube = disc(300)
    start = time.process_time()
    wanted = plain(*cube, SNR)
    slow = time.process_time() - start
    if not np.array_equal(fast(*cube), wanted):
        raise RuntimeError("the kernel's bins are not those of the published algorithm")
    return row("binning_300_speedup", slow / seconds, "", baseline=1.0, goal=">= 100")


def measure() -> list[Row]:
    """Time five sizes, the growth of time with size, and the plain version at one size."""
    rows, times, counts = [], {}, {}
    fast(*disc(40))  # compiles
    for side in (131, 200, 300, 450, 600, 1000):
        cube = disc(side)
        times[side] = least_cpu_seconds(cube, repeats=20 if side < 500 else 5)
        counts[side] = int(cube[2].sum())
        if side in MARKS:
            rows += size_rows(side, 12, times[side], counts[side])
    for side, repeats in ((1000, 3), (3000, 1)):
        cube = disc(side, n_band=20)
        before = psutil.Process().memory_info().rss / 1e9
        seconds = least_cpu_seconds(cube, repeats=repeats)
        rows += size_rows(side, 20, seconds, int(cube[2].sum()))
    used, n_pix = peak_memory() - before, int(cube[2].sum())
    limit = binning_bytes(n_pix, 20, cube[2].shape) / 1e9
    rows.append(row("binning_3000_memory", used, "GB", baseline=limit, goal=f"<= {limit:.2f}"))
    rows.append(speedup(times[300]))
    slope = np.polyfit(np.log(list(counts.values())), np.log(list(times.values())), 1)[0]
    rows.append(row("binning_exponent", float(slope), "", baseline=1.0, goal="<= 1.15"))
    return rows
