"""Photometry and spectra of composite stellar populations at one redshift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.constants import AV_PER_OPTICAL_DEPTH, LSUN_ERG_S, MPC_CM, UJY_CGS
from pxdask.core.errors import ConfigError
from pxdask.kernels import dust, igm
from pxdask.kernels.bandpass import bin_weights
from pxdask.kernels.sfh import (
    SFH_KINDS,
    age_quadrature,
    age_weights,
    mean_age,
    recent_fraction,
)
from pxdask.kernels.spectra import (
    BandColumns,
    CompositeModels,
    composite_fluxes,
    interpolation_columns,
)
from pxdask.sps.cosmology import age_of_universe, luminosity_distance
from pxdask.sps.parameters import PARAMETERS, free_parameters
from pxdask.sps.populations import Populations, populations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter
    from pxdask.core.config import ModelConfig

BLOCK = 8192
"""Models whose age weights are held at a time."""

N_NODE = 6
"""Interpolation nodes of the attenuation in a band, or in each part of a band that a break of
the law divides; 0.1 per cent for bands attenuated by less than 5 mag."""
RECENT_GYR = 0.1
"""Interval over which the star formation rate is a mean [Gyr]."""
_YR_PER_GYR = 1e9

_LAWS: dict[str, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], tuple[float, ...]]]
_LAWS = {"calzetti": (dust.calzetti, dust.CALZETTI_BREAKS)}
"""Attenuation laws in units of the V band's, and the wavelengths where they break."""


class PhotometryEngine:
    """From parameters to fluxes; everything that depends on redshift alone is done once.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/1``.
    filters : sequence of Filter
        Bands, in the order of the fluxes returned.
    redshift : float
        > 0.
    settings : ModelConfig
        Forms of star formation, dust, nebulae, intergalactic absorption; cosmology.

    Raises
    ------
    ConfigError
        If a filter sees wavelengths that the populations do not cover, or the ionisation
        parameter lies outside them.
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
    """

    def __init__(
        self,
        ssp: xr.Dataset,
        filters: Sequence[Filter],
        *,
        redshift: float,
        settings: ModelConfig,
    ) -> None:
        self.redshift = float(redshift)
        self.bands = tuple(band.name for band in filters)
        self.parameters = free_parameters(settings)
        self._sfh = settings.sfh
        self._law, breaks = _LAWS[settings.dust]
        self._oldest = float(np.log10(age_of_universe(settings, redshift=redshift)))
        self._populations = populations(ssp, settings)
        self._quadrature = age_quadrature(self._populations.log_age)
        self._weights = _band_weights(self._populations, filters, settings, redshift)
        self._columns = _columns(self._populations, self._weights, self._law, breaks)

    def flux(self, parameters: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float32]:
        """Return flux densities in the bands.

        Parameters
        ----------
        parameters : mapping
            One array (n_model,) for each of ``self.parameters``, in the registry's units.

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
        models = self._checked(parameters)
        out = np.empty((models.age.size, len(self.bands)), dtype=np.float32)
        composite_fluxes(SFH_KINDS[self._sfh], models, self._quadrature, self._columns, out)
        return out

    def derived(
        self, parameters: Mapping[str, NDArray[np.float64]]
    ) -> dict[str, NDArray[np.float64]]:
        """Return what follows from the parameters, per solar mass formed.

        Parameters
        ----------
        parameters : mapping
            As for `flux`; the same errors.

        Returns
        -------
        derived : dict of (n_model,) float64
            ``surviving``, mass of living stars and remnants [Msun Msun-1]; ``sfr``, mean
            rate of the last 100 Myr, also where star formation began later [yr-1];
            ``log_mw_age`` [log10 Gyr]; ``av`` [mag].
        """
        models = self._checked(parameters)
        recent = recent_fraction(self._sfh, models.age, models.shape, span=RECENT_GYR)
        return {
            "surviving": self._surviving(models),
            "sfr": recent / (RECENT_GYR * _YR_PER_GYR),
            "log_mw_age": np.log10(mean_age(self._sfh, models.age, models.shape)),
            "av": AV_PER_OPTICAL_DEPTH * models.depth,
        }

    def _surviving(self, models: CompositeModels) -> NDArray[np.float64]:
        """Return the mass fraction in living stars and remnants, in blocks of bounded memory."""
        surviving = np.empty(models.age.size)
        for start in range(0, models.age.size, BLOCK):
            block = slice(start, start + BLOCK)
            weights = age_weights(
                self._sfh, models.age[block], models.shape[block], quadrature=self._quadrature
            )
            fraction = self._populations.at_metallicity(
                self._populations.surviving, models.metallicity[block]
            )
            surviving[block] = np.sum(weights * fraction, axis=1)
        return surviving

    @property
    def wave(self) -> NDArray[np.float64]:
        """Wavelengths of `spectrum`, centres of bins, rest frame, vacuum [Angstrom]."""
        return self._populations.wave

    def spectrum(self, parameters: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return rest-frame spectra, the slow and exact way.

        Parameters
        ----------
        parameters : mapping
            As for `flux`; the same errors.

        Returns
        -------
        spectrum : (n_model, n_wave) float64
            Attenuated by dust, not by the intergalactic medium
            [Lsun Angstrom-1 Msun-1]; means over the bins around ``self.wave``.
        """
        models = self._checked(parameters)
        weights = age_weights(self._sfh, models.age, models.shape, quadrature=self._quadrature)
        result = np.empty((models.age.size, self.wave.size))
        for i, position in enumerate(models.metallicity):
            flux = self._populations.at_metallicity(self._populations.flux, position)
            result[i] = weights[i] @ flux
        return result * np.exp(-models.depth[:, None] * self._law(self.wave))

    def exact_flux(self, parameters: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return what `flux` approximates, from full spectra: (n_model, n_band) [uJy Msun-1]."""
        return self.spectrum(parameters) @ self._weights.T

    def _checked(self, parameters: Mapping[str, NDArray[np.float64]]) -> CompositeModels:
        """Return usable parameters, or name all that are not."""
        faults = [
            f"{name}: unknown or not free; the parameters are {', '.join(self.parameters)}"
            for name in parameters
            if name not in self.parameters
        ]
        values = {}
        for name in self.parameters:
            if name not in parameters:
                faults.append(f"{name}: missing")
                continue
            values[name] = np.asarray(parameters[name], dtype=np.float64)
            low, high = self._allowed(name)
            bad = values[name][~((values[name] >= low) & (values[name] <= high))]
            if bad.size:
                faults.append(
                    f"{name}: {bad.flat[0]} ({bad.size} such values) is not within"
                    f" [{low:.6g}, {high:.6g}] {PARAMETERS[name].unit}"
                )
        shapes = {value.shape for value in values.values()}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            sizes = ", ".join(f"{name} {value.shape}" for name, value in values.items())
            faults.append(f"arrays must have one dimension and equal length; got {sizes}")
        if faults:
            raise ConfigError("models cannot be computed:\n  - " + "\n  - ".join(faults))
        position = np.arange(self._populations.log_z.size, dtype=np.float64)
        return CompositeModels(
            age=10 ** values["log_age"],
            shape=10 ** -values["log_tau"][:, None],
            metallicity=np.interp(values["logzsol"], self._populations.log_z, position),
            depth=values["dust2"],
        )

    def _allowed(self, name: str) -> tuple[float, float]:
        """Return the least and greatest value of a parameter."""
        low, high = PARAMETERS[name].limits
        if name == "log_age":
            return low, min(high, self._oldest)
        if name == "logzsol":
            return float(self._populations.log_z[0]), float(self._populations.log_z[-1])
        return low, high


def _band_weights(
    stars: Populations, filters: Sequence[Filter], settings: ModelConfig, redshift: float
) -> NDArray[np.float64]:
    """Return weights (n_band, n_wave) from Lsun Angstrom-1 in the rest frame to uJy."""
    edges = stars.wave_edges * (1 + redshift)
    faults = [
        f"filter {band.name!r} spans {band.wave[0]:.0f}-{band.wave[-1]:.0f} Angstrom"
        for band in filters
        if band.wave[0] < edges[0] or band.wave[-1] > edges[-1]
    ]
    if faults:
        raise ConfigError(
            f"at redshift {redshift} the stellar populations span"
            f" {edges[0]:.0f}-{edges[-1]:.0f} Angstrom:\n  - " + "\n  - ".join(faults)
        )
    distance = luminosity_distance(settings, redshift=redshift) * MPC_CM
    scale = LSUN_ERG_S / (4 * np.pi * distance**2 * (1 + redshift) * UJY_CGS)
    transmitted = np.ones(stars.wave.size)
    if settings.igm == "madau95":
        transmitted = igm.madau1995(stars.wave * (1 + redshift), redshift=redshift)
    weights = np.stack([bin_weights(band, edges) for band in filters])
    result: NDArray[np.float64] = weights * transmitted * scale
    return result


def _columns(
    stars: Populations,
    weights: NDArray[np.float64],
    law: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    breaks: Sequence[float],
) -> BandColumns:
    """Return the populations seen through the bands, each divided at the law's breaks."""
    pieces, law_values, first = [], [], [0]
    for row in weights:
        seen = np.flatnonzero(row)
        parts = np.searchsorted(breaks, stars.wave[seen], side="right")
        for part in np.unique(parts):
            inside = seen[parts == part]
            kept = slice(int(inside[0]), int(inside[-1]) + 1)
            node, projection = interpolation_columns(stars.wave[kept], row[kept], n_node=N_NODE)
            pieces.append(stars.flux[..., kept] @ projection.astype(np.float32))
            law_values.append(law(node))
        first.append(sum(values.size for values in law_values))
    flux = np.ascontiguousarray(np.concatenate(pieces, axis=-1))
    return BandColumns(flux, law=np.concatenate(law_values), first=np.array(first))
