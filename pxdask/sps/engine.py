"""Photometry of composite stellar populations at one redshift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.cosmology import age_of_universe
from pxdask.kernels.composite import composite_fluxes
from pxdask.kernels.history import SFH_KINDS
from pxdask.kernels.sfh import age_quadrature
from pxdask.sps.columns import band_weights, make_columns
from pxdask.sps.derived import derive, derived_names
from pxdask.sps.histories import bin_edges
from pxdask.sps.inputs import Inputs
from pxdask.sps.parameters import free_parameters
from pxdask.sps.populations import populations
from pxdask.sps.spectrum import SpectrumEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter
    from pxdask.core.models import ModelConfig
    from pxdask.kernels.ingredients import Columns
    from pxdask.sps.populations import Populations

    Floats = NDArray[np.float64]

_OF_ENERGY = ("dust_mass", "dust_luminosity")
"""Derived variables that need the absorbed energy."""


class PhotometryEngine:
    """From parameters to fluxes; everything that depends on redshift alone is done once.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/2``.
    filters : sequence of Filter
        Bands, in the order of the fluxes returned.
    redshift : float
        > 0.
    settings : ModelConfig
        Forms of star formation, dust, nebulae, intergalactic absorption; cosmology.
    universe : float, optional
        Age that no model may exceed and at which time bins end [Gyr]; default: the age of the
        universe at the redshift. For models that are seen at several redshifts.
    stars : Populations, optional
        What `populations` returns for ``ssp`` and ``settings``, so that engines of many
        redshifts share the memory; default: made here.

    Raises
    ------
    ConfigError
        If a filter sees wavelengths that the populations do not cover, a fixed parameter
        lies outside them, or a derived quantity is not one of these models.
    DataError
        If the redshift is not positive.
    SchemaError
        If ``ssp`` is not of its schema.

    Notes
    -----
    A band's flux is a sum over wavelength of population, filter and attenuation. Attenuation
    is smooth: inside a band it is replaced by its interpolation through a few Chebyshev
    nodes in ln(wavelength), and the sums of population times filter times polynomial are
    done here, once. A model then costs a weighted sum over ages of some hundred columns.
    The energy that dust absorbs is one more band, of all wavelengths.
    """

    def __init__(
        self,
        ssp: xr.Dataset,
        filters: Sequence[Filter],
        *,
        redshift: float,
        settings: ModelConfig,
        universe: float | None = None,
        stars: Populations | None = None,
    ) -> None:
        self.redshift = float(redshift)
        self.settings = settings
        self.bands = tuple(band.name for band in filters)
        self.parameters = tuple(n for n in free_parameters(settings) if n != "redshift")
        self.derived_names = derived_names(settings)
        universe = universe or age_of_universe(settings, redshift=redshift)
        self._ssp = ssp
        self._stars = populations(ssp, settings) if stars is None else stars
        self._inputs = Inputs(settings, self._stars, universe)
        self._weights = band_weights(self._stars, filters, settings, redshift=redshift)
        self._quadrature = age_quadrature(
            self._stars.log_age, bin_edges=bin_edges(settings, universe=universe)
        )
        energy = settings.dust_emission or any(n in _OF_ENERGY for n in self.derived_names)
        self._columns = make_columns(self._stars, self._weights, settings, energy=energy)

    def limits(self, name: str) -> tuple[float, float]:
        """Return the least and greatest value of a parameter, in the registry's unit."""
        return self._inputs.limits(name)

    def flux(self, parameters: Mapping[str, Floats]) -> NDArray[np.float32]:
        """Return flux densities in the bands.

        Parameters
        ----------
        parameters : mapping
            One array (n_model,) for each of ``self.parameters``, in the registry's units;
            fixed and tied ones follow from the settings.

        Returns
        -------
        flux : (n_model, n_band) float32
            Per solar mass formed [uJy Msun-1]. The same parameters give the same bits,
            whatever the other models of the call.

        Raises
        ------
        ConfigError
            Naming every parameter that is missing, unknown or out of range.
        """
        return self._run(parameters, self._columns)[0]

    def derived(self, parameters: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return what follows from the parameters, per solar mass formed.

        Parameters
        ----------
        parameters : mapping
            As for `flux`; the same errors.

        Returns
        -------
        derived : dict of (n_model,) float64
            The variables of ``self.derived_names``: see `pxdask.sps.derived.derived_attrs`.
        """
        kind, models = self._inputs.models(parameters)
        energy = None
        if any(name in _OF_ENERGY for name in self.derived_names):
            energy = self._run(parameters, _energy_columns(self._columns))[1]
        return derive(
            self.derived_names,
            kind,
            models,
            stars=self._stars,
            quadrature=self._quadrature,
            energy=energy,
        )

    def exact_flux(self, parameters: Mapping[str, Floats]) -> Floats:
        """Return what `flux` approximates, from full spectra: (n_model, n_band) [uJy Msun-1]."""
        spectra = SpectrumEngine(self._ssp, settings=self.settings, redshift=self.redshift)
        return spectra.spectrum(parameters).astype(np.float64) @ self._weights.T

    def _run(
        self, parameters: Mapping[str, Floats], columns: Columns
    ) -> tuple[NDArray[np.float32], Floats]:
        """Return fluxes and energies."""
        kind, models = self._inputs.models(parameters)
        flux = np.empty((models.age.size, columns.first.size - 1), dtype=np.float32)
        energy = np.empty((models.age.size, 3))
        composite_fluxes(SFH_KINDS[kind], models, self._quadrature, columns, flux, energy)
        return flux, energy


def _energy_columns(columns: Columns) -> Columns:
    """Return the columns of the absorbed energy alone."""
    start = int(columns.first[-1])

    def cut(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.ascontiguousarray(values[..., start:])

    return columns._replace(
        stars=cut(columns.stars),
        nebular=cut(columns.nebular),
        dust=cut(columns.dust),
        torus=cut(columns.torus),
        base=cut(columns.base),
        bump=cut(columns.bump),
        ln_wave=cut(columns.ln_wave),
        birth=cut(columns.birth),
        first=np.zeros(1, dtype=np.int64),
    )
