"""What a fitter is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Prepared(Protocol):
    """Models made ready for any number of SEDs; never changed by a fit."""

    def fit(self, flux: Floats, flux_err: Floats) -> xr.Dataset:
        """Return the posteriors of some SEDs, each fitted by itself.

        Parameters
        ----------
        flux, flux_err : (n_sed, n_band)
            Flux density and its 1-sigma uncertainty [uJy], bands as in the models. NaN
            flux, or an uncertainty that is not a positive finite number: band left out.

        Returns
        -------
        fit : xarray.Dataset
            Schema fit/1. An SED that cannot be fitted is NaN and flagged NOT_FITTED.

        Raises
        ------
        DataError
            If the shapes are not those of the models' bands.
        """
        ...


class Fitter(Protocol):
    """A method of inference, with its settings."""

    def prepare(self, models: xr.Dataset) -> Prepared:
        """Return the models made ready for fitting.

        Parameters
        ----------
        models : xarray.Dataset
            Schema models/1, with ``surviving`` and ``sfr``.

        Raises
        ------
        SchemaError
            If a variable is missing or of the wrong form.
        DataError
            If a model is not finite.
        """
        ...
