"""What a fitter is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import xarray as xr

    from pxdask.fitting.seds import Seds
    from pxdask.sps.libraries import ModelLibrary


class Prepared(Protocol):
    """Models made ready for any number of SEDs; never changed by a fit."""

    def fit(self, seds: Seds) -> xr.Dataset:
        """Return the posteriors of some SEDs, each fitted by itself.

        Parameters
        ----------
        seds : Seds
            Bands as in the library.

        Returns
        -------
        fit : xarray.Dataset
            Schema fit/2. An SED that cannot be fitted is NaN and flagged NOT_FITTED. A result
            does not depend, to the last bit, on the SEDs fitted beside it.

        Raises
        ------
        DataError
            If the bands are not those of the library in number.
        """
        ...


class Fitter(Protocol):
    """A method of inference, with its settings."""

    def prepare(self, library: ModelLibrary) -> Prepared:
        """Return the models made ready for fitting.

        Parameters
        ----------
        library : ModelLibrary
            Bands, populations, priors, and a drawn set for methods that need one.

        Raises
        ------
        SchemaError
            If the drawn set lacks a variable.
        DataError
            If a model is not finite.
        """
        ...
