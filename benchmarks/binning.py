"""SED-similarity binning of a mock disc in 12 bands, against the same algorithm in plain numpy."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.harness import Row, cpu_seconds, row
from pxdask.kernels.binning import sed_similarity_bins

SETTINGS = {"reference": 4, "min_diameter": 4.0, "max_chi2": 4.0, "ring_width": 2.0}


def disc(side: int, *, n_band: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return flux, error and region of an exponential disc with a colour gradient."""
    rng = np.random.default_rng(1)
    y, x = np.indices((side, side)) - (side - 1) / 2
    radius = np.hypot(y, x) / (side / 2)
    slope = np.linspace(3.0, 5.0, n_band)[:, None, None]
    light = 100.0 * np.exp(-slope * radius)
    error = np.full_like(light, 3.0)
    return light + error * rng.normal(size=light.shape), error, radius < 0.95


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


def measure() -> list[Row]:
    """Time three sizes, and the plain version at the middle one."""
    rows, times = [], {}
    for side in (131, 300, 600):
        flux, error, region = disc(side)
        snr = np.full(len(flux), 10.0)
        times[side] = cpu_seconds(
            lambda f=flux, e=error, r=region, s=snr: sed_similarity_bins(
                f, e, r, min_snr=s, **SETTINGS
            )
        )
        marks = {131: 0.37, 300: 6.5, 600: 101.0}
        rows.append(
            row(
                f"binning_{side}_cpu_s",
                times[side],
                "s",
                baseline=marks[side],
                goal=f"<= {marks[side]}",
            )
        )
    flux, error, region = disc(300)
    start = time.process_time()
    plain(flux, error, region, 10.0)
    slow = time.process_time() - start
    rows.append(row("binning_300_speedup", slow / times[300], "", baseline=1.0, goal=">= 100"))
    exponent = np.log(times[600] / times[300]) / np.log(4.0)
    rows.append(row("binning_exponent", float(exponent), "", baseline=1.0, goal="<= 1.15"))
    return rows
