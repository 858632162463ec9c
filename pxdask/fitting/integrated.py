"""The pipeline stage that fits a galaxy's whole light as one SED, beside its bins."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag
from pxdask.core.rows import redshift_of
from pxdask.core.schema import FIT, Schema
from pxdask.fitting.seds import Seds
from pxdask.fitting.stage import deciding_settings, prepared, require_same_bands
from pxdask.kernels.likelihood import usable_bands
from pxdask.kernels.noise import aperture_growth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr
    from numpy.typing import ArrayLike, NDArray

    from pxdask.core.fits import FitConfig
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

MOST_LACKING = 0.01
"""Part of a galaxy's light that may be in bins without a band; with more, the sum over the others
would be of another region than those of other bands, and the band counts as missing [1]."""


@dataclass(frozen=True)
class IntegratedStage:
    """Fit the sum of all bins of a galaxy, by the same method and with the same models.

    Young stars outshine old ones: where both are in one SED, less mass is found than where bins
    keep them apart. The difference is what resolving a galaxy changes.

    Attributes
    ----------
    config : FitConfig
        Settings of the fit. Photometry is fitted, whatever the bins have besides.
    model_library : callable
        Gives the models of a redshift, with the bins' bands in their order.
    model_settings : mapping
        JSON values that decide what ``model_library`` gives.

    Notes
    -----
    Outshining: Sawicki & Yee 1998 (AJ 115, 1329); Sorba & Sawicki 2018 (MNRAS 476, 1532).
    """

    config: FitConfig
    model_library: Callable[[float], ModelLibrary]
    model_settings: Mapping[str, object]
    name: ClassVar[str] = "integrated"
    version: ClassVar[int] = 3
    inputs: ClassVar[tuple[str, ...]] = ("bins",)
    output: ClassVar[Schema] = FIT

    def settings(self) -> dict[str, object]:
        """Return the settings that the result depends on."""
        return {**deciding_settings(self.config), "models": dict(self.model_settings)}

    def run(self, galaxy: Mapping[str, object], *, bins: xr.Dataset) -> xr.Dataset:
        """Return the posterior of the sum of all bins.

        Parameters
        ----------
        galaxy : mapping
            Catalogue row: ``redshift`` and ``id``.
        bins : xarray.Dataset
            Schema bins/1.

        Returns
        -------
        fit : xarray.Dataset
            Schema fit/2, of one bin.

        Raises
        ------
        DataError
            If the galaxy has no redshift, or no band.
        ConfigError
            If the models' bands are not those of the bins.
        """
        galaxy_id = str(galaxy.get("id", "of unknown id"))
        limit = (bins["flags"].values & int(Flag.UPPER_LIMIT)) != 0
        # an upper limit cannot be added to a flux
        error = np.where(limit, np.nan, bins["flux_err"].values)
        area = bins["noise_area"].values if "noise_area" in bins else 1.0
        flux, error = integrated_sed(
            bins["flux"].values, error, n_pix=bins["n_pix"].values, noise_area=area
        )
        if not usable_bands(flux, error).any():
            raise DataError(f"galaxy {galaxy_id}: no band has the light of all its bins")
        seds = Seds(flux[None], error[None], keys=((galaxy_id, self.name),))
        library = self.model_library(redshift_of(galaxy))
        require_same_bands(bins, library, galaxy_id=galaxy_id)
        fit = prepared(self._photometric, library).fit(seds)
        logger.info("galaxy %s: fitted its whole light", galaxy_id)
        return fit

    @property
    def _photometric(self) -> FitConfig:
        """Settings without spectra, where only these would be fitted."""
        if self.config.spectrum.use != "spectrum":
            return self.config
        spectrum = self.config.spectrum.model_copy(update={"use": "photometry"})
        return self.config.model_copy(update={"spectrum": spectrum})


def integrated_sed(
    flux: Floats, error: Floats, *, n_pix: ArrayLike = 1, noise_area: ArrayLike = 1.0
) -> tuple[Floats, Floats]:
    """Return the sums over bins of fluxes, and their errors.

    Errors add in quadrature; but noise that is correlated over many pixels is so over the borders
    of bins too, so that the sum has the growth of all its pixels instead of each bin's own.

    Parameters
    ----------
    flux, error : (n_bin, n_band) float64
        Flux density and its 1-sigma uncertainty [uJy]; a bin lacks a band where either is NaN or
        the uncertainty is not positive.
    n_pix : (n_bin,) array_like of int
        Pixels of each bin.
    noise_area : (n_band,) array_like
        Pixels over which noise is correlated [pix]; see `pxdask.kernels.noise.aperture_growth`.

    Returns
    -------
    flux, error : (n_band,) float64
        NaN where bins that hold more than `MOST_LACKING` of the light lack the band. The light is
        that of the band that most bins have, and of these bands the one of greatest S/N.
    """
    usable = usable_bands(flux, error)
    light = np.where(usable, flux, 0.0)
    pixels = np.broadcast_to(n_pix, len(flux))[:, None]
    # as if noise were white, and then grown as that of the pixels of all bins together
    variance = np.where(usable, error, 0.0) ** 2 / aperture_growth(pixels, noise_area)
    growth = aperture_growth((pixels * usable).sum(axis=0), noise_area)
    total, total_err = light.sum(axis=0), np.sqrt(variance.sum(axis=0) * growth)
    snr = np.divide(total, total_err, out=np.full(total.shape, -np.inf), where=total_err > 0)
    count = usable.sum(axis=0)
    by_most = np.lexsort((snr, count))
    of_all = np.maximum(light[:, by_most[-1]], 0.0)
    lacking = np.where(usable, 0.0, of_all[:, None]).sum(axis=0)
    kept = (count > 0) & (lacking <= MOST_LACKING * of_all.sum())
    return np.where(kept, total, np.nan), np.where(kept, total_err, np.nan)
