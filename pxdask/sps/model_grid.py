"""Models at many redshifts that galaxies share, and the models between."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pxdask.core.cosmology import age_of_universe
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.models import ModelConfig
from pxdask.core.schema import MODEL_GRID, MODELS
from pxdask.sps.engine import PhotometryEngine
from pxdask.sps.model_set import band_coords, drawn_rows, model_variables, set_attrs
from pxdask.sps.priors import resolve_priors
from pxdask.sps.redshifts import interpolated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter


def make_model_grid(
    ssp: xr.Dataset,
    filters: Sequence[Filter],
    *,
    redshifts: Sequence[float],
    settings: ModelConfig,
    seed: int,
    start: int = 0,
    stop: int | None = None,
) -> xr.Dataset:
    """Return the same models at each of some redshifts.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/2``.
    filters : sequence of Filter
        Bands.
    redshifts : sequence of float
        Two or more, positive, increasing.
    settings : ModelConfig
        Ingredients, priors, number of models and how they are drawn; redshift is not free.
    seed, start, stop
        As of `make_model_set`.

    Returns
    -------
    grid : Dataset
        Schema ``model-grid/1``; attributes as of `make_model_set`. Priors are those at the
        highest redshift, so that no model is older than the universe at any of them.

    Raises
    ------
    ConfigError, DataError, SchemaError
        As `make_model_set`; ConfigError if the redshifts are not such.
    """
    nodes = [float(z) for z in redshifts]
    if len(nodes) < 2 or not all(a < b for a, b in pairwise([0.0, *nodes])):
        raise ConfigError(f"redshifts are {nodes}; wanted two or more, positive and increasing")
    if "redshift" in settings.priors:
        raise ConfigError("models.priors has a redshift: a grid of redshifts leaves none free")
    priors = resolve_priors(settings, redshift=nodes[-1])
    parameters = drawn_rows(priors, settings, seed=seed, start=start, stop=stop)
    universe = age_of_universe(settings, redshift=nodes[-1])
    n_model = next(iter(parameters.values())).size
    flux = np.empty((len(nodes), n_model, len(filters)), dtype=np.float32)
    for k in reversed(range(len(nodes) if n_model else 1)):
        engine = PhotometryEngine(
            ssp, filters, redshift=nodes[k], settings=settings, universe=universe
        )
        flux[k] = engine.flux(parameters)
    dims = MODEL_GRID.variables["flux"].dims
    return MODEL_GRID.validate(
        xr.Dataset(
            {
                "flux": (dims, flux, MODEL_GRID.attrs("flux")),
                **model_variables({**parameters, **engine.derived(parameters)}),
            },
            coords={
                "redshift": ("redshift", np.array(nodes), MODEL_GRID.attrs("redshift")),
                **band_coords(filters),
            },
            attrs={
                "schema": MODEL_GRID.tag,
                **set_attrs(ssp, settings, priors, seed=seed),
            },
        )
    )


def at_redshift(grid: xr.Dataset, redshift: float) -> xr.Dataset:
    """Return the models of a grid at a redshift.

    Parameters
    ----------
    grid : Dataset
        Schema ``model-grid/1``; may be open lazily: two of its redshifts are read.
    redshift : float
        Not outside the grid.

    Returns
    -------
    models : Dataset
        Schema ``models/1``: flux times the square of the luminosity distance is linear in
        ln(1 + z) between the redshifts of the grid.

    Raises
    ------
    DataError
        If the redshift lies outside the grid.

    Notes
    -----
    Relative errors of fluxes above 1e-3 of a model's brightest, of BC03 models with gas and
    dust in 15 bands from GALEX to WISE and two of NIRCam, z = 0.02-3, worst of 30 redshifts
    each between nodes:

    ============  =======  =====  =======
    ln(1+z) step  median   rms    largest
    ============  =======  =====  =======
    0.002         0.001 %  0.06%  1.4 %
    0.005         0.006 %  0.16%  2.5 %
    0.01          0.02 %   0.3 %  4.4 %
    0.02          0.1 %    0.9 %  9 %
    ============  =======  =====  =======

    The largest are strong lines that cross a steep edge of a filter, such as 2MASS J.
    """
    MODEL_GRID.validate(grid)
    nodes = grid["redshift"].values
    k = interval_of(nodes, redshift)
    near, far = (grid["flux"][i].values for i in (k, k + 1))
    settings = ModelConfig.model_validate(grid.attrs["settings"])
    ends = float(nodes[k]), float(nodes[k + 1])
    flux = interpolated((near, far), ends, float(redshift), settings=settings)
    models = grid.drop_vars(["flux", "redshift"]).assign(
        flux=(("model", "band"), flux, MODELS.attrs("flux"))
    )
    return MODELS.validate(models.load().assign_attrs(schema=MODELS.tag, redshift=float(redshift)))


def interval_of(nodes: NDArray[np.float64], redshift: float) -> int:
    """Return the number of the redshift in a grid below which, or at which, a redshift lies.

    Raises
    ------
    DataError
        If it lies outside the grid.
    """
    if not nodes[0] <= redshift <= nodes[-1]:
        raise DataError(
            f"redshift {redshift} is outside the models' grid, [{nodes[0]}, {nodes[-1]}]: build"
            " models at more redshifts, or correct the catalogue"
        )
    return int(np.clip(np.searchsorted(nodes, redshift, side="right") - 1, 0, nodes.size - 2))
