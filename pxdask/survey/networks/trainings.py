"""The training of a network, and all that decides it."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pxdask.core.errors import ConfigError
from pxdask.core.models import UniformPrior
from pxdask.core.provenance import content_key
from pxdask.core.remote import location
from pxdask.fitting.npe_limits import with_limits
from pxdask.npe.agreement import filter_digest, ssp_origin
from pxdask.npe.noise import NoiseModel, broad_noise
from pxdask.npe.redshift_training import with_redshift_check
from pxdask.npe.training import train
from pxdask.sps.libraries import ModelLibrary, make_library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import xarray as xr

    from pxdask.core.bandpass import Filter
    from pxdask.core.fits import FitConfig
    from pxdask.npe.network import Network
    from pxdask.npe.training import Progress
    from pxdask.survey.networks.wanted import Wanted

logger = logging.getLogger(__name__)

VERSION = 2
"""Raised whenever the same settings and mocks give another network."""

REDSHIFT_MARGIN = 0.02
"""How much wider than the catalogue's the redshifts of a training are, as a part of 1 + z, before
they are rounded outwards to hundredths: galaxies that are added later are then known too, and
posteriors near the ends are not those of an edge."""

LEAST_REDSHIFT = 1e-3
"""Least redshift of a training: below, distances are not those of the Hubble flow."""

NAMED_LENGTH = 16
"""Letters of keys and checksums in names of files."""

_NO_MATTER = {"n_models", "stored", "sampling", "redshift_step", "derived", "ssp"}
"""Settings of models that a network does not depend on, or that are told otherwise."""

_OF_NOISE = ("likelihood", "dof", "systematic_error", "systematic_sigma")
"""Settings of the fit that decide the mocks."""

_OF_LIMITS = {"n_draws", "min_n_eff", "max_rounds", "min_efficiency"}
"""Settings of ``fit.npe`` that decide how odd a network finds good SEDs."""

_OF_USE = {
    *("network", "redshift", "noise", "reweight", "hand_over", "false_alarms"),
    *_OF_LIMITS,
}
"""Settings of ``fit.npe`` that say how a network is used, or that are told otherwise."""


@dataclass(frozen=True, eq=False)
class Training:
    """All that a network is trained with.

    Attributes
    ----------
    model_library : ModelLibrary
        Models; where redshift is told, with a prior that is the range of it.
    noise : NoiseModel
        Errors of the mocks.
    fit : FitConfig
        Settings, without paths.
    free_redshift : bool
        Whether redshift is a target.
    """

    model_library: ModelLibrary
    noise: NoiseModel
    fit: FitConfig
    free_redshift: bool

    @property
    def key(self) -> str:
        """Content key of all that decides the weights, but for the machine they are of."""
        library, fit = self.model_library, self.fit
        facts: dict[str, Any] = {
            "version": VERSION,
            "models": library.settings.model_dump(mode="json", exclude=_NO_MATTER),
            "redshift": library.redshift,
            "free_redshift": self.free_redshift,
            "ssp": ssp_origin(library.ssp),
            "filters": [[band.name, filter_digest(band)] for band in library.filters],
            "noise": self.noise.to_json(),
            "fit": {name: getattr(fit, name) for name in _OF_NOISE},
            "npe": fit.npe.model_dump(mode="json", exclude=_OF_USE),
            "seed": library.seed,
        }
        return content_key(facts)[:NAMED_LENGTH]

    @property
    def limits_key(self) -> str:
        """Content key of what, besides, decides what the network takes for an outlier."""
        return content_key(self.fit.npe.model_dump(mode="json", include=_OF_LIMITS))[:NAMED_LENGTH]

    def network(
        self,
        *,
        known: Network | None = None,
        report: Callable[[Progress], None] | None = None,
        checkpoint: Path | None = None,
    ) -> Network:
        """Train the network; see `pxdask.npe.training.train`.

        Parameters
        ----------
        known : Network, optional
            One of the same key, whose weights are taken: only its outliers are learnt anew.
        report : callable, optional
            Called after each pass.
        checkpoint : Path, optional
            Where the state of the training is kept; files are left when it ends.

        Raises
        ------
        ConfigError
            If JAX is not installed, which is told before anything is computed, or a setting is
            wrong.
        """
        found = self._trained(report, checkpoint) if known is None else known
        settings = self.fit.model_dump(mode="json")
        return with_limits(replace(found, settings=settings), self.model_library)

    def _trained(
        self, report: Callable[[Progress], None] | None, checkpoint: Path | None
    ) -> Network:
        """Return a network that does not know outliers yet."""
        require_jax()
        logger.info("training with %d mocks", self.fit.npe.n_mocks)
        found = train(
            self.model_library,
            noise=self.noise,
            settings=self.fit,
            seed=self.model_library.seed,
            redshift_given=not self.free_redshift,
            progress=report,
            checkpoint=checkpoint,
        )
        found = with_redshift_check(found, self.model_library)
        return replace(found, origin={**found.origin, "training": self.key})


def require_jax() -> None:
    """Raise `ConfigError` where what a training needs is not installed."""
    if missing := [name for name in ("jax", "optax") if find_spec(name) is None]:
        raise ConfigError(
            f"training a network needs {' and '.join(missing)}: pip install 'pxdask[npe]'; or"
            " train it where they are, by `pxdask npe train`, and name the file as"
            " fit.npe.network: to use a network needs neither"
        )


def training_of(wanted: Wanted, *, ssp: xr.Dataset, curves: Iterable[Filter]) -> Training:
    """Return what a network is trained with.

    Parameters
    ----------
    wanted : Wanted
        What it is to know.
    ssp : Dataset
        Schema ssp/2.
    curves : iterable of Filter
        Of each band, in their order, under whatever name.

    Raises
    ------
    ConfigError
        If no redshifts are known, or the noise model is not one of these bands.
    """
    models = wanted.models.model_copy(update={"stored": None, "redshift_step": None})
    ends, fixed = network_redshifts(wanted), None
    if ends is not None and ends[0] == ends[1]:
        fixed = ends[0]
    elif ends is not None:
        prior = UniformPrior(low=ends[0], high=ends[1])
        models = models.model_copy(update={"priors": {**models.priors, "redshift": prior}})
    own = wanted.npe.model_copy(update={"network": None, "noise": None, "redshift": ends})
    filters = tuple(
        replace(curve, name=name) for (name, _), curve in zip(wanted.bands, curves, strict=True)
    )
    return Training(
        make_library(ssp, filters, settings=models, redshift=fixed, seed=wanted.seed),
        noise_of(wanted),
        wanted.fit.model_copy(update={"method": "npe", "npe": own}),
        wanted.free_redshift,
    )


def network_redshifts(wanted: Wanted) -> tuple[float, float] | None:
    """Return the ends of the redshifts that a network is to be told; None where it is told none.

    Those of ``fit.npe.redshift``, or of the data, a little wider: see `REDSHIFT_MARGIN`.

    Raises
    ------
    ConfigError
        If they are not known, or not positive and in order.
    """
    if wanted.free_redshift:
        return None
    if (given := wanted.npe.redshift) is not None:
        if not 0 < given[0] <= given[1]:
            raise ConfigError(
                f"fit.npe.redshift is {list(given)}; wanted two positive numbers in order"
            )
        return given
    if wanted.redshifts is None:
        raise ConfigError(
            "the redshifts that the network is to know are not given: give a catalogue, or set"
            " fit.npe.redshift: [low, high]"
        )
    low, high = wanted.redshifts
    wide_low = (1 + low) * (1 - REDSHIFT_MARGIN) - 1
    wide_high = (1 + high) * (1 + REDSHIFT_MARGIN) - 1
    # digits beyond the hundredths are those of rounding, and would be in the key
    low_end = max(round(math.floor(100 * wide_low) / 100, 2), LEAST_REDSHIFT)
    return min(low_end, low), round(math.ceil(100 * wide_high) / 100, 2)


def noise_of(wanted: Wanted) -> NoiseModel:
    """Return the noise model that the settings name; without one, a wide one.

    Raises
    ------
    ConfigError
        If the file cannot be read, or is of other bands.
    """
    names = tuple(name for name, _ in wanted.bands)
    path = wanted.npe.noise
    if path is None:
        return broad_noise(names)
    try:
        text = location(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"fit.npe.noise: cannot read {path}: {error}") from error
    noise = NoiseModel.from_json(text)
    if noise.bands != names:
        raise ConfigError(
            f"fit.npe.noise: {path} is of the bands {', '.join(noise.bands)}; the data have"
            f" {', '.join(names)}: measure it again by `pxdask npe noise`"
        )
    return noise
