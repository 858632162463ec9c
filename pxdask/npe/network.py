"""A trained network: posteriors of SEDs at once, and what it is to be believed for."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.special import ndtr

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.models import ModelConfig
from pxdask.core.schema import NETWORK
from pxdask.npe.agreement import CLOSE, disagreements
from pxdask.npe.density import Shape, flat_weights, make_density, unflat_weights
from pxdask.npe.features import inputs
from pxdask.npe.redshift_check import RedshiftCheck
from pxdask.npe.targets import ln_mean, relative_scale, targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig
    from pxdask.npe.density import Density
    from pxdask.npe.features import Inputs
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

_LEAST_UNIT = 2.0**-64
_MOST_UNIT = 1 - 2.0**-53
"""Ends of the open unit interval in double precision, as far as draws go."""

_LN_ROOT_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws from a network's posterior.

    Attributes
    ----------
    unit : (n_sed, n_draws, n_dim) float64
        In the open unit cube of the priors, in the order of `Network.names`.
    log_mass : (n_sed, n_draws) float64
        log10 of the mass formed [dex(Msun)].
    ln_density : (n_sed, n_draws) float64
        Natural log of the network's density with respect to the cube and ``log_mass``; the
        prior's is zero.
    """

    unit: Floats
    log_mass: Floats
    ln_density: Floats


@dataclass(frozen=True, eq=False)
class Network:
    """An ensemble of densities, and what they were trained for.

    Attributes
    ----------
    bands : tuple of str
        Names, in the order of fluxes.
    pivot_wave : (n_band,) float64
        Pivot wavelengths [Angstrom].
    filters : tuple of str
        Digest of each band's curve.
    names : tuple of str
        Free parameters that are targets, in the order of the cube's columns.
    redshift : tuple of float or None
        Ends of the redshifts that are inputs; None where redshift is a target.
    models : ModelConfig
        Settings of the models.
    settings : dict
        Settings of the fit and the training, as JSON values.
    noise_json : str
        Noise model of the training; see `pxdask.npe.noise.NoiseModel.from_json`.
    densities : tuple of Density
        Members of the ensemble, which count the same.
    mass_centre, mass_width : float
        Mean and standard deviation of the target of mass in the training.
    loss, held_loss : (n_member, n_epoch) float64
        Mean -ln density of the mocks trained with, and of those held out; NaN after a member's
        last.
    figures : dict of (n_dim + 1,) float64
        Figures of merit, of each target and of the mass.
    origin : dict
        What the training was made of, as JSON values.
    outliers : dict
        How odd good SEDs are, as JSON values; see `pxdask.fitting.npe_limits.with_limits`. Empty
        where nobody has learnt it.
    redshift_check : RedshiftCheck or None
        What tells whether an SED may have the redshift that is given; None where none is, or
        nobody has learnt it. See `pxdask.npe.redshift_training.with_redshift_check`.
    """

    bands: tuple[str, ...]
    pivot_wave: Floats
    filters: tuple[str, ...]
    names: tuple[str, ...]
    redshift: tuple[float, float] | None
    models: ModelConfig
    settings: Mapping[str, Any]
    noise_json: str
    densities: tuple[Density, ...]
    mass_centre: float
    mass_width: float
    loss: Floats
    held_loss: Floats
    figures: Mapping[str, Floats]
    origin: Mapping[str, Any]
    outliers: Mapping[str, Any] = field(default_factory=dict)
    redshift_check: RedshiftCheck | None = None

    def draw(
        self,
        flux: Floats,
        error: Floats,
        *,
        redshift: Floats | None,
        rngs: Sequence[np.random.Generator],
        n_draws: int,
    ) -> Draws:
        """Return draws from the posterior of each SED.

        Parameters
        ----------
        flux, error : (n_sed, n_band) float64
            Flux density and its total 1-sigma uncertainty [uJy]; see `pxdask.npe.features.inputs`
            for what is missing.
        redshift : (n_sed,) float64 or None
            Of each SED; None where redshift is a target.
        rngs : sequence of n_sed numpy.random.Generator
            Each SED's own.
        n_draws : int
            Draws of each SED.

        Returns
        -------
        draws : Draws
            An SED's depend on itself and its generator alone, to the last bit. NaN where no
            band is usable.

        Raises
        ------
        DataError
            If there are not as many redshifts as the network wants.
        """
        own, offset = self._given(flux, error, redshift)
        n_member = len(self.densities)
        y = np.empty((len(flux), n_draws, len(self.names) + 1), np.float32)
        each = np.empty((n_member, *y.shape[:2]))
        for m, density in enumerate(self.densities):
            # members take turns, so that equally many are of each
            n_own = len(range(m, n_draws, n_member))
            y[:, m::n_member], each[m, :, m::n_member] = density.draw(
                own.values, rngs, n_draws=n_own
            )
        if n_member > 1:
            for m, density in enumerate(self.densities):
                each[m] = density.ln_density(own.values, y)
        return self._draws(y, ln_mean(each), offset)

    def ln_density(
        self,
        flux: Floats,
        error: Floats,
        *,
        redshift: Floats | None,
        unit: Floats,
        log_mass: Floats,
    ) -> Floats:
        """Return the natural log of the density of parameters given SEDs.

        Parameters
        ----------
        flux, error, redshift
            As for `draw`.
        unit : (n_sed, n_draws, n_dim) float64
            In the open unit cube.
        log_mass : (n_sed, n_draws) float64
            log10 of the mass formed [dex(Msun)].

        Returns
        -------
        ln_density : (n_sed, n_draws) float64
            With respect to the cube and ``log_mass``. NaN where no band is usable.
        """
        own, offset = self._given(flux, error, redshift)
        y = self.targets(unit, log_mass - offset[:, None])
        each = np.stack([density.ln_density(own.values, y) for density in self.densities])
        return np.where(np.isfinite(offset)[:, None], self._per_prior(y, ln_mean(each)), np.nan)

    def broadened(self, factor: float) -> Network:
        """Return a network that proposes more widely: its Gaussians' deviations times a factor."""
        return replace(self, densities=tuple(each.broadened(factor) for each in self.densities))

    def targets(self, unit: Floats, relative_mass: Floats) -> NDArray[np.float32]:
        """Return what densities are of, (..., n_dim + 1), of points of the cube and masses.

        Parameters
        ----------
        unit : (..., n_dim) float64
            Points of the unit cube.
        relative_mass : (...) float64
            log10 of the mass formed less what `relative_scale` says.
        """
        return targets(unit, (relative_mass - self.mass_centre) / self.mass_width)

    def check(self, library: ModelLibrary, settings: FitConfig) -> None:
        """Raise `ConfigError` naming all in which the network and what is to be fitted differ.

        A redshift outside the network's range is no such thing, but a galaxy's: see `knows`.

        Parameters
        ----------
        library : ModelLibrary
            Models of the fit: bands and their curves, populations, settings, priors, redshift.
        settings : FitConfig
            Its likelihood and systematic errors must be those of the mocks.
        """
        if faults := disagreements(self, library, settings):
            raise ConfigError(
                "the network is not of these data and models; change the settings or train"
                " another by `pxdask npe train`:\n  - " + "\n  - ".join(faults)
            )

    def knows(self, redshift: float | None) -> bool:
        """Return whether the network was trained for a redshift; None: one that it finds."""
        if self.redshift is None or redshift is None:
            return True
        low, high = self.redshift
        return low * (1 - CLOSE) <= redshift <= high * (1 + CLOSE)

    def to_dataset(self) -> xr.Dataset:
        """Return the network as schema ``network/1``.

        Arrays are variables; all else is in the attributes, as JSON values.
        """
        weights = np.stack([flat_weights(density) for density in self.densities])
        arrays: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {
            "weights": (("member", "weight"), weights),
            "loss": (("member", "epoch"), self.loss),
            "held_loss": (("member", "epoch"), self.held_loss),
        }
        told = {}
        if self.redshift_check is not None:
            flat, told["redshift_check"] = self.redshift_check.to_stored()
            arrays["redshift_weights"] = (("redshift_weight",), flat)
        variables = {name: (*value, NETWORK.attrs(name)) for name, value in arrays.items()}
        figures = {
            name: ("figure", value, {"units": "", "long_name": name.replace("_", " ")})
            for name, value in self.figures.items()
        }
        coords = {
            "band": ("band", np.array(self.bands, dtype=object), NETWORK.attrs("band")),
            "pivot_wave": ("band", self.pivot_wave, NETWORK.attrs("pivot_wave")),
        }
        first = self.densities[0]
        attrs = {
            "schema": NETWORK.tag,
            "form": first.form,
            "shape": asdict(first.shape),
            "filters": list(self.filters),
            "names": list(self.names),
            "redshift": None if self.redshift is None else list(self.redshift),
            "models": self.models.model_dump(mode="json"),
            "settings": dict(self.settings),
            "noise": self.noise_json,
            "mass_centre": self.mass_centre,
            "mass_width": self.mass_width,
            "origin": dict(self.origin),
            "outliers": dict(self.outliers),
            **told,
        }
        return xr.Dataset({**variables, **figures}, coords, attrs)

    @classmethod
    def from_dataset(cls, stored: xr.Dataset) -> Network:
        """Return the network of a Dataset of schema ``network/1``.

        Raises
        ------
        SchemaError
            If it is none.
        ConfigError
            If its weights are not those of its shape.
        """
        attrs, own = stored.attrs, NETWORK.validate(stored)
        form, shape = attrs["form"], Shape(**attrs["shape"])
        known = ("weights", "loss", "held_loss", "redshift_weights")
        check = None
        if "redshift_weights" in own:
            check = RedshiftCheck.from_stored(
                own["redshift_weights"].values, attrs["redshift_check"]
            )
        return cls(
            bands=tuple(str(name) for name in own["band"].values),
            pivot_wave=own["pivot_wave"].values,
            filters=tuple(attrs["filters"]),
            names=tuple(attrs["names"]),
            redshift=None if attrs["redshift"] is None else tuple(attrs["redshift"]),
            models=ModelConfig.model_validate(attrs["models"]),
            settings=attrs["settings"],
            noise_json=attrs["noise"],
            densities=tuple(
                make_density(form, shape, unflat_weights(form, shape, flat))
                for flat in own["weights"].values
            ),
            mass_centre=float(attrs["mass_centre"]),
            mass_width=float(attrs["mass_width"]),
            loss=own["loss"].values,
            held_loss=own["held_loss"].values,
            figures={str(k): v.values for k, v in own.data_vars.items() if k not in known},
            origin=attrs["origin"],
            outliers=attrs.get("outliers", {}),
            redshift_check=check,
        )

    @property
    def redshift_is_input(self) -> bool:
        """Whether the network is told redshifts: it knows a range of them."""
        return self.redshift is not None and self.redshift[0] < self.redshift[1]

    def _given(self, flux: Floats, error: Floats, redshift: Floats | None) -> tuple[Inputs, Floats]:
        """Return inputs of SEDs, and what their log10 masses are relative to."""
        found = None if redshift is None else np.shape(redshift)
        wanted = None if self.redshift is None else (len(flux),)
        if found != wanted:
            raise DataError(
                f"redshifts: {found or 'none'} given, {wanted or 'none'} wanted;"
                " a network is told those that it was trained with"
            )
        if flux.shape[1] != len(self.bands):
            raise DataError(f"SEDs of {flux.shape[1]} bands; the network has {len(self.bands)}")
        own = inputs(flux, error, redshift=redshift if self.redshift_is_input else None)
        return own, relative_scale(own.scale, redshift, self.models)

    def _draws(self, y: NDArray[np.float32], ln_density: Floats, offset: Floats) -> Draws:
        """Return draws in the priors' cube; NaN where there is no scale."""
        unit = np.clip(ndtr(y[..., :-1].astype(np.float64)), _LEAST_UNIT, _MOST_UNIT)
        log_mass = y[..., -1].astype(np.float64) * self.mass_width + (
            self.mass_centre + offset[:, None]
        )
        ln_density = self._per_prior(y, ln_density)
        blind = ~np.isfinite(offset)
        unit[blind], ln_density[blind] = np.nan, np.nan
        return Draws(unit, log_mass, ln_density)

    def _per_prior(self, y: NDArray[np.float32], ln_density: Floats) -> Floats:
        """Return ln densities of targets as those in the cube and log10 of mass."""
        total = ln_density - math.log(self.mass_width)
        for k in range(len(self.names)):
            total += 0.5 * y[..., k].astype(np.float64) ** 2 + _LN_ROOT_2PI
        return total
