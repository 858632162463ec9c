"""What errors SEDs have: depths of bands, photon noise, bands that are missing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import nnls

from pxdask.core.errors import ConfigError, DataError
from pxdask.kernels.likelihood import usable_bands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

BROAD_COMMON, BROAD_OWN = 0.3, 0.4
"""Scatter of depths in `broad_noise`, of all bands together and of each band [dex]: the surveys of
19 bands at hand have errors that differ between bands by 0.4 dex (root mean square)."""

BROAD_PHOTON, BROAD_PHOTON_SCATTER = 0.01, 1.0
"""Photon noise in `broad_noise`: variance over flux, in units of the depth [1], and its scatter
[dex]. It equals the background's at a flux of 100 depths; in pixels of JADES, at about 90."""

WIDENED = 0.05
"""Scatter of each band that `measured_noise` adds to the measured one [dex], so that a galaxy whose
exposures differ by a tenth is not unlike all others."""

MAX_PATTERNS = 64
"""Patterns of missing bands that are kept, the most frequent."""

_BRIGHT = 5.0
"""S/N that one SED in a hundred must have for photon noise to be told from depths that differ."""

_LEAST = 0.01
"""Least part of a measured variance that is put down to the background [1]."""


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """How errors of SEDs are distributed.

    The variance of a band is that of its background, which differs between SEDs, plus a part in
    proportion to the flux. That flux is the one observed, as it is where errors are computed
    from counts: then errors tell nothing of a source that its fluxes do not.

    Attributes
    ----------
    bands : tuple of str
        Names.
    depth : (n_band,) float64
        Median error of the background [uJy].
    covariance : (n_band, n_band) float64
        Of log10 of the background's error, between SEDs [dex2].
    photon : (n_band,) float64
        Variance over flux, median [uJy].
    photon_scatter : float
        Its scatter between SEDs, the same for all bands [dex].
    patterns : (n_pattern, n_band) bool
        Bands that an SED has.
    shares : (n_pattern,) float64
        How many SEDs have each pattern; the sum is one [1].

    Notes
    -----
    Scaling every flux and error by one number changes no posterior but that of mass, so it is
    the ratios of depths and the signal-to-noise ratios that matter.
    """

    bands: tuple[str, ...]
    depth: Floats
    covariance: Floats
    photon: Floats
    photon_scatter: float
    patterns: Bools
    shares: Floats

    def background(self, n_sed: int, rng: np.random.Generator) -> Floats:
        """Return errors (n_sed, n_band) of the background [uJy], NaN where a band is missing."""
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        shift = rng.standard_normal((n_sed, len(self.bands))) @ root.T
        pattern = rng.choice(len(self.shares), size=n_sed, p=self.shares)
        return np.where(self.patterns[pattern], self.depth * 10.0**shift, np.nan)

    def photons(self, n_sed: int, rng: np.random.Generator) -> Floats:
        """Return variance over flux (n_sed, n_band) [uJy]."""
        shift = self.photon_scatter * rng.standard_normal((n_sed, 1))
        return np.asarray(self.photon * 10.0**shift)

    def errors(self, flux: Floats, rng: np.random.Generator) -> Floats:
        """Return errors of observed fluxes.

        Parameters
        ----------
        flux : (n_sed, n_band) float64
            Observed flux density [uJy]; a negative or missing one has no photon noise.
        rng : numpy.random.Generator
            Gives background and photon noise of each SED, and its missing bands.

        Returns
        -------
        error : (n_sed, n_band) float64
            1-sigma uncertainty [uJy]; NaN where a band is missing.
        """
        background = self.background(len(flux), rng)
        light = np.maximum(np.nan_to_num(flux), 0.0)
        return np.asarray(np.sqrt(background**2 + self.photons(len(flux), rng) * light))

    def to_json(self) -> str:
        """Return the model as JSON text."""
        values = {
            "bands": list(self.bands),
            "depth": self.depth.tolist(),
            "covariance": self.covariance.tolist(),
            "photon": self.photon.tolist(),
            "photon_scatter": self.photon_scatter,
            "patterns": self.patterns.astype(int).tolist(),
            "shares": self.shares.tolist(),
        }
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> NoiseModel:
        """Return the model in a JSON text.

        Raises
        ------
        ConfigError
            If the text is no noise model, or its parts do not fit together.
        """
        try:
            values = json.loads(text)
            bands = tuple(str(name) for name in values["bands"])
            found = cls(
                bands,
                np.array(values["depth"], np.float64),
                np.array(values["covariance"], np.float64),
                np.array(values["photon"], np.float64),
                float(values["photon_scatter"]),
                np.array(values["patterns"], np.bool_),
                np.array(values["shares"], np.float64),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"not a noise model: {error!r}; wanted what `pxdask npe noise` writes"
            ) from error
        if faults := _faults(found):
            raise ConfigError("the noise model has faults:\n  - " + "\n  - ".join(faults))
        return found


def broad_noise(bands: Sequence[str]) -> NoiseModel:
    """Return a noise model so wide that most surveys are within it.

    A network that is trained with it serves data whose depths nobody has measured; one
    trained with `measured_noise` is sharper, as it need not know what never happens.

    Parameters
    ----------
    bands : sequence of str
        Names.
    """
    n_band = len(bands)
    covariance = np.full((n_band, n_band), BROAD_COMMON**2) + BROAD_OWN**2 * np.eye(n_band)
    return NoiseModel(
        tuple(bands),
        np.ones(n_band),
        covariance,
        np.full(n_band, BROAD_PHOTON),
        BROAD_PHOTON_SCATTER,
        np.ones((1, n_band), np.bool_),
        np.ones(1),
    )


def measured_noise(
    flux: Floats, error: Floats, bands: Sequence[str], *, widened: float = WIDENED
) -> NoiseModel:
    """Return the noise model of some SEDs, such as a cube's pixels or bins.

    Parameters
    ----------
    flux, error : (n_sed, n_band)
        Observed flux density and its 1-sigma uncertainty [uJy]; a band is missing where either
        is NaN or the uncertainty is not positive.
    bands : sequence of str
        Names.
    widened : float
        Scatter of each band's depth that is added to the measured one [dex].

    Returns
    -------
    noise : NoiseModel
        A band that no SED has is in no pattern; its depth is the median of the others'.

    Raises
    ------
    DataError
        If no SED has a usable band, or there are not as many columns as names.

    Notes
    -----
    Of each band, ``error^2 = background^2 + photon flux`` by least squares of relative
    residuals, with neither part negative. Of bins of different sizes the background grows with
    the number of pixels, as flux does, and counts partly as photon noise; as the network sees
    errors and fluxes only, that is a fair description of them.
    """
    if flux.shape != error.shape or flux.ndim != 2 or flux.shape[1] != len(bands):
        raise DataError(
            f"fluxes have shape {flux.shape} and errors {error.shape};"
            f" wanted (n_sed, {len(bands)}), a column for each of {', '.join(bands)}"
        )
    usable = usable_bands(flux, error)
    usable = usable[usable.any(axis=1)]
    if not len(usable):
        raise DataError("no SED has a flux with a positive error: no noise to measure")
    kept = usable_bands(flux, error).any(axis=1)
    flux, error = np.asarray(flux[kept], np.float64), np.asarray(error[kept], np.float64)
    photon = np.array([_photon(*pair) for pair in zip(flux.T, error.T, usable.T, strict=True)])
    variance = np.where(usable, error**2, np.nan)
    rest = variance - photon * np.where(usable, np.maximum(flux, 0.0), 0.0)
    log_depth = 0.5 * np.log10(np.maximum(rest, _LEAST * variance))
    # depths are of SEDs whose photons count less, where a band has any
    told = usable & (rest > 0.5 * variance)
    told = np.where(told.any(axis=0), told, usable)
    depth = 10.0 ** _median_columns(log_depth, told)
    patterns, counts = np.unique(usable, axis=0, return_counts=True)
    often = np.argsort(-counts, kind="stable")[:MAX_PATTERNS]
    return NoiseModel(
        tuple(bands),
        depth,
        _covariance(log_depth - np.log10(depth), told) + widened**2 * np.eye(len(bands)),
        photon,
        0.0,
        patterns[often],
        counts[often] / counts[often].sum(),
    )


def _photon(flux: Floats, error: Floats, usable: Bools) -> float:
    """Return variance over flux [uJy] of one band; zero where it cannot be told."""
    light, variance = np.maximum(flux[usable], 0.0), error[usable] ** 2
    if not light.size or np.quantile(light, 0.99) < _BRIGHT * np.sqrt(np.median(variance)):
        return 0.0
    # scaled, so that both columns are of order one
    unit, spread = float(np.median(variance)), float(np.max(light))
    design = np.column_stack([unit / variance, light / spread * unit / variance])
    part, _ = nnls(design, np.ones(light.size))
    return float(part[1] * unit / spread)


def _median_columns(values: Floats, usable: Bools) -> Floats:
    """Return the median of each column, of columns without values that of the others."""
    found = np.array(
        [
            np.median(column[here]) if here.any() else np.nan
            for column, here in zip(values.T, usable.T, strict=True)
        ]
    )
    return np.where(np.isnan(found), np.nanmedian(found), found)


def _covariance(shift: Floats, usable: Bools) -> Floats:
    """Return the covariance of columns with gaps, with no negative eigenvalue.

    Shifts beyond three robust deviations are cut back to these, so that a few bad pixels do not
    make a depth uncertain.
    """
    scatter = 1.4826 * _median_columns(np.abs(shift), usable)
    cut = np.where(usable, np.clip(shift, -3 * scatter, 3 * scatter), 0.0)
    together = usable.T.astype(np.float64) @ usable.astype(np.float64)
    raw = (cut.T @ cut) / np.maximum(together, 1.0)
    values, vectors = np.linalg.eigh(raw)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def _faults(noise: NoiseModel) -> list[str]:
    """Return what is wrong with a noise model."""
    n_band, found = len(noise.bands), []
    shapes = {
        "depth": (n_band,),
        "covariance": (n_band, n_band),
        "photon": (n_band,),
        "patterns": (len(noise.shares), n_band),
    }
    for name, shape in shapes.items():
        if getattr(noise, name).shape != shape:
            found.append(f"{name} has shape {getattr(noise, name).shape}; wanted {shape}")
    if not np.all(np.isfinite(noise.depth) & (noise.depth > 0)):
        found.append("depth must be positive")
    if not np.all(np.isfinite(noise.photon) & (noise.photon >= 0)):
        found.append("photon must be zero or positive")
    if not (np.all(noise.shares >= 0) and np.isclose(noise.shares.sum(), 1.0)):
        found.append(f"shares add up to {noise.shares.sum():.4g}; wanted 1")
    return found
