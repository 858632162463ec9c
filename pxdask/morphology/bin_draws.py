"""Draws of what bins' posteriors say, and how their pixels share them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class BinDraws:
    """Draws from the posteriors of bins, made when they are asked for.

    Attributes
    ----------
    fit : xarray.Dataset
        Schema fit/2.
    taken : (n_bin, n_draws) int or None
        Which of the samples that the fit has kept are the draws; None where it has kept none.
    normal : numpy.random.Generator
        Source of draws where there are no samples.
    n_draws : int
        How many draws.

    Notes
    -----
    Of samples that the fit has kept whole ones are taken, so that a draw's mass and age belong
    together. Where it has kept none, each parameter is drawn by itself from the split normal
    distribution through its quantiles: correlations between parameters of a bin are then lost.
    Either way bins are independent: an error that all bins share, as of the models or of the
    distance, is not in the draws.
    """

    fit: xr.Dataset
    taken: Indices | None
    normal: np.random.Generator
    n_draws: int

    def of(self, name: str) -> Floats:
        """Return draws (n_bin, n_draws) of a parameter, in its unit.

        NaN in all draws of a bin without a posterior. A second call may give other draws.
        """
        if self.taken is not None and f"{name}_samples" in self.fit:
            samples = self.fit[f"{name}_samples"].values
            drawn = np.take_along_axis(samples, self.taken, axis=1).astype(np.float64)
        else:
            values = self.fit[name].values
            normal = self.normal.standard_normal((len(values), self.n_draws))
            drawn = split_normal(values, normal, quantiles=self.fit["quantile"].values)
        lost = np.any(np.isnan(drawn), axis=1, keepdims=True)
        return np.where(lost, np.nan, drawn)


def bin_draws(fit: xr.Dataset, *, n_draws: int, rng: np.random.Generator) -> BinDraws:
    """Return draws from the posteriors of bins.

    Parameters
    ----------
    fit : xarray.Dataset
        Schema fit/2.
    n_draws : int
        How many.
    rng : numpy.random.Generator
        Source of the draws.
    """
    n_sample = fit.sizes.get("sample", 0)
    taken = rng.integers(n_sample, size=(fit.sizes["bin"], n_draws)) if n_sample else None
    return BinDraws(fit, taken, rng, n_draws)


def split_normal(values: Floats, normal: Floats, *, quantiles: Floats) -> Floats:
    """Return draws from normals with the widths of both sides of the median.

    Parameters
    ----------
    values : (n_row, n_quantile) float64
        Quantiles, one of them the median.
    normal : (n_row, n_draw) float64
        Draws from the standard normal.
    quantiles : (n_quantile,) float64
        Their probabilities, increasing; the outermost give the widths.
    """
    widths = ndtri(quantiles[[0, -1]])
    median = values[:, [int(np.argmin(np.abs(quantiles - 0.5)))]]
    below, above = ((values[:, [end]] - median) / widths[end] for end in (0, -1))
    return np.asarray(median + normal * np.where(normal < 0, below, above))


def pixel_shares(
    maps: xr.Dataset, fit: xr.Dataset, name: str, *, pixels: Indices, members: Indices
) -> Floats:
    """Return each pixel's share of its bin's value, as the maps were made with.

    Parameters
    ----------
    maps, fit : xarray.Dataset
        Schemas maps/1 and fit/2.
    name : str
        A result that grows with the size of a bin, whose logarithm both hold.
    pixels, members : (n_pixel,) int
        Numbers of some pixels in the flattened map, and their bins.

    Returns
    -------
    shares : (n_pixel,) float64
        0 where the map is NaN; right to 3e-6, for maps are float32. The shares of a bin with a
        posterior add up to 1.
    """
    middle = int(np.argmin(np.abs(fit["quantile"].values - 0.5)))
    log_pixel = maps[name].values[middle].ravel()[pixels].astype(np.float64)
    share = 10.0 ** (log_pixel - fit[name].values[members, middle])
    return np.where(np.isfinite(share), share, 0.0)
