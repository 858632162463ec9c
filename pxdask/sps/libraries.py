"""What a fitter knows of the models: their settings, populations, bands, and a drawn set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pxdask.sps.model_set import make_model_set

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from pxdask.core.bandpass import Filter
    from pxdask.core.models import ModelConfig


@dataclass(frozen=True, eq=False)
class ModelLibrary:
    """Models of one redshift, or of a free one.

    Attributes
    ----------
    settings : ModelConfig
        Forms and priors.
    ssp : Dataset
        Schema ``ssp/2``.
    filters : tuple of Filter
        Bands, under the names and in the order of the SEDs to fit.
    redshift : float or None
        Of the galaxy; None where the settings have a prior for it.
    seed : int
        Seed of the run, from which every random stream comes.
    draw : callable
        Gives the drawn set, schema ``models/1``, with the bands of ``filters``. Called where a
        set is needed, so that a sampler that makes its own models never pays for one.
    network : callable, optional
        Gives a trained network of these models, schema ``network/1``, for methods that use one.
    """

    settings: ModelConfig
    ssp: xr.Dataset
    filters: tuple[Filter, ...]
    redshift: float | None
    seed: int
    draw: Callable[[], xr.Dataset] = field(repr=False)
    network: Callable[[], xr.Dataset] | None = field(default=None, repr=False)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands."""
        return tuple(band.name for band in self.filters)


def make_library(
    ssp: xr.Dataset,
    filters: tuple[Filter, ...],
    *,
    settings: ModelConfig,
    redshift: float | None,
    seed: int,
) -> ModelLibrary:
    """Return a library whose set is drawn from the priors, once, when it is first asked for."""
    drawn: list[xr.Dataset] = []

    def draw() -> xr.Dataset:
        if not drawn:
            drawn.append(
                make_model_set(ssp, filters, redshift=redshift, settings=settings, seed=seed)
            )
        return drawn[0]

    return ModelLibrary(settings, ssp, tuple(filters), redshift, seed, draw)
