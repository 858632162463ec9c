"""Small cubes to bin, and a slow oracle that reads like the paper."""

import hypothesis.strategies as st
import numpy as np

from pxdask.kernels.binning import sed_similarity_bins
from pxdask.kernels.noise import aperture_growth

NO_LIMIT = 1e9
"""A chi-square that every pixel passes."""


def bins(flux, flux_err=1.0, region=None, **changes):
    """Bin one row, one image or a cube, with settings that change nothing unless asked."""
    flux = np.atleast_3d(np.array(flux, dtype=float).T).T
    error = np.array(np.broadcast_to(flux_err, flux.shape), dtype=float)
    region = np.ones(flux.shape[1:], dtype=bool) if region is None else region
    chosen = {
        "reference": 0,
        "min_snr": 0.0,
        "min_diameter": 1.0,
        "max_chi2": NO_LIMIT,
        "ring_width": 1.0,
    }
    return sed_similarity_bins(flux, error, region, **{**chosen, **changes})


def square(centre, around, n=5):
    """Return an image of one value with another in the middle."""
    image = np.full((n, n), float(around))
    image[n // 2, n // 2] = centre
    return image


@st.composite
def cubes(draw):
    """Return flux, error, region and settings of a small, dirty cube."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_band, ny, nx = (draw(st.integers(1, n)) for n in (4, 9, 9))
    level = draw(st.sampled_from([0.0, 0.5, 3.0, 30.0]))
    kinds = rng.integers(0, 2, size=(ny, nx))
    sed = rng.uniform(0, 2, size=(2, n_band))
    flux = level * np.moveaxis(sed[kinds], -1, 0) * rng.uniform(0.5, 2, size=(ny, nx))
    flux_err = rng.uniform(0.5, 1.5, size=flux.shape)
    flux += rng.normal(size=flux.shape) * flux_err
    bad = rng.random(flux.shape) < draw(st.sampled_from([0.0, 0.2]))
    flux[bad] = rng.choice([np.nan, np.inf], size=bad.sum())
    flux_err[rng.random(flux.shape) < draw(st.sampled_from([0.0, 0.1]))] = 0.0
    region = rng.random((ny, nx)) < draw(st.sampled_from([0.3, 0.8, 1.0]))
    return (
        flux,
        flux_err,
        region,
        {
            "reference": draw(st.integers(0, n_band - 1)),
            "min_snr": rng.choice([0.0, 2.0, 5.0], size=n_band),
            "min_diameter": draw(st.sampled_from([1.0, 2.0, 3.3])),
            "max_chi2": draw(st.sampled_from([0.5, 2.0, NO_LIMIT])),
            "ring_width": draw(st.sampled_from([0.125, 0.25, 1.0, 2.0])),
            "noise_area": rng.uniform(1, 4, size=n_band),
        },
    )


def alike(flux, flux_err, seed, other, max_chi2):
    """Return whether two pixels' SEDs have one shape."""
    good = np.isfinite(flux) & (flux_err > 0)
    both = good[:, *seed] & good[:, *other]
    if not both.any():
        return False
    a, b = flux[:, *seed][both], flux[:, *other][both]
    var = flux_err[:, *seed][both] ** 2 + flux_err[:, *other][both] ** 2
    scale = np.sum(a * b / var) / np.sum(a * a / var)
    return np.mean((b - scale * a) ** 2 / var) <= max_chi2


def bright(flux, flux_err, mask, min_snr, noise_area):
    """Return whether the sums over a mask meet every demand."""
    for band, demand in enumerate(min_snr):
        chosen = mask & np.isfinite(flux[band]) & (flux_err[band] > 0)
        n = chosen.sum()
        error = np.sqrt(np.sum(flux_err[band][chosen] ** 2) * aperture_growth(n, noise_area[band]))
        if demand > 0 and (n == 0 or flux[band][chosen].sum() < demand * error):
            return False
    return True


def oracle(flux, flux_err, region, *, reference, ring_width, min_diameter, max_chi2, **demand):
    """Bin by whole-image scans, written from the paper and the rule for failed seeds."""
    y, x = np.indices(region.shape)
    bin_map = np.full(region.shape, -1)
    free, seeds, n_bin = region.copy(), region.copy(), 0
    good = np.isfinite(flux[reference]) & (flux_err[reference] > 0)
    brightness = np.where(good, flux[reference], -np.inf)
    while (free & seeds).any():
        seed = tuple(np.argwhere(free & seeds)[np.argmax(brightness[free & seeds])])
        distance = np.hypot(y - seed[0], x - seed[1])
        radius = min_diameter / 2
        mask = free & (distance <= radius)
        while not bright(flux, flux_err, mask, **demand) and radius < distance.max():
            ring = free & (distance > radius) & (distance <= radius + ring_width)
            for other in np.argwhere(ring):
                mask[*other] = alike(flux, flux_err, seed, other, max_chi2)
            radius += ring_width
        if bright(flux, flux_err, mask, **demand):
            bin_map[mask] = n_bin
            n_bin += 1
            free &= ~mask
        else:
            seeds[seed] = False
            for other in np.argwhere(mask & (distance <= 2 * min_diameter)):
                seeds[*other] &= not alike(flux, flux_err, seed, other, max_chi2)
    bin_map[free] = n_bin
    return bin_map
