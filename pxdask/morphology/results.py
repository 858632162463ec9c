"""Fits as Datasets: physical parameters of each source and band, with uncertainties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import xarray as xr

from pxdask.core.flags import flag_attrs
from pxdask.core.schema import MORPHOLOGY, QUANTILES
from pxdask.morphology.parameters import LONG_NAMES, UNITS
from pxdask.morphology.unpacking import curve, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.core.morphology import MorphologyConfig
    from pxdask.morphology.fit import Fitted
    from pxdask.morphology.scene import Scene

    Floats = NDArray[np.float64]
    Variables = dict[str, tuple[tuple[str, ...], object, dict[str, object]]]

_EACH = ("source", "band")


class Drawn(Protocol):
    """What of a posterior is needed."""

    @property
    def draws(self) -> Floats:
        """Of theta (n_draws, n_dim)."""
        ...

    @property
    def flags(self) -> int:
        """`Flag` bits of the sampler."""
        ...


def to_dataset(
    fitted: Fitted, posterior: Drawn, scene: Scene, config: MorphologyConfig
) -> xr.Dataset:
    """Return a fit as a Dataset.

    Parameters
    ----------
    fitted : Fitted
        The best fit.
    posterior : Posterior
        Draws of theta, and the sampler's flags.
    scene : Scene
        What was fitted.
    config : MorphologyConfig
        For the record, in ``attrs``: profile, loss, posterior.

    Returns
    -------
    profiles : Dataset (schema MORPHOLOGY)
        Bands that were not fitted are NaN. Angles of the best are from 0 to 180; their quantiles
        lie about it, so may be beyond. Curves are those of the galaxy, NaN for neighbours.
    """
    draws = unpack(posterior.draws, scene)
    variables: Variables = {}
    for name, best in fitted.values.items():
        own = draws[name]
        if name.endswith("theta"):
            best = best % 180.0  # noqa: PLW2901  the reported one
            own = best + (own - best + 90.0) % 180.0 - 90.0
        variables |= _summary(name, _all_bands(best, scene), _all_bands(own, scene))
    flux_std = np.asarray(variables["flux_std"][1], np.float64)
    snr = _all_bands(fitted.values["flux"], scene) / np.where(flux_std > 0, flux_std, np.nan)
    variables["snr"] = (_EACH, snr, dict(MORPHOLOGY.attrs("snr")))
    variables |= _curves(posterior.draws, scene)
    variables |= _images(fitted, scene)
    flags = fitted.flags.copy()
    flags[0] |= np.uint16(posterior.flags)
    variables["flags"] = (("source",), flags, {**MORPHOLOGY.attrs("flags"), **flag_attrs()})
    variables["n_steps"] = ((), np.int32(fitted.n_steps), dict(MORPHOLOGY.attrs("n_steps")))
    coordinates = {
        "band": _text([each.band for each in scene.stamps]),
        "source": _text(scene.sources),
        "quantile": np.array(QUANTILES),
        "wave": scene.wave,
    }
    return xr.Dataset(
        variables,
        coords={name: (name, each, MORPHOLOGY.attrs(name)) for name, each in coordinates.items()},
        attrs={
            "schema": MORPHOLOGY.tag,
            "profile": config.profile,
            "loss": config.loss,
            "posterior": config.posterior,
            "engine": config.engine,
        },
    )


def _summary(name: str, best: Floats, draws: Floats) -> Variables:
    """Return quantiles, mean, deviation and best of one parameter, of draws (n, source, band)."""
    units = {"units": UNITS[name]}
    meaning = LONG_NAMES[name]
    quantiles = np.moveaxis(np.quantile(draws, QUANTILES, axis=0), 0, -1)
    return {
        name: ((*_EACH, "quantile"), quantiles, {**units, "long_name": meaning}),
        f"{name}_mean": (_EACH, draws.mean(axis=0), {**units, "long_name": f"mean of {meaning}"}),
        f"{name}_std": (
            _EACH,
            draws.std(axis=0),
            {**units, "long_name": f"standard deviation of {meaning}"},
        ),
        f"{name}_best": (_EACH, best, {**units, "long_name": f"best {meaning}"}),
    }


def _curves(draws: Floats, scene: Scene) -> Variables:
    """Return the quantiles of linked parameters as functions of wavelength."""
    found: Variables = {}
    for name in scene.curves:
        shape = (len(scene.sources), len(scene.wave), len(QUANTILES))
        quantiles = np.full(shape, np.nan)
        quantiles[0] = np.quantile(curve(draws, scene, name), QUANTILES, axis=0).T
        found[f"{name}_curve"] = (
            ("source", "wave", "quantile"),
            quantiles,
            {"units": UNITS[name], "long_name": f"{LONG_NAMES[name]}, by wavelength"},
        )
    return found


def _images(fitted: Fitted, scene: Scene) -> Variables:
    """Return stamps, models and what belongs to bands, stamps padded with NaN to one shape."""
    n_band = len(scene.stamps)
    ny, nx = (max(each.flux.shape[axis] for each in scene.stamps) for axis in (0, 1))
    planes = {name: np.full((n_band, ny, nx), np.nan, np.float32) for name in ("data", "error")}
    model = np.full((n_band, ny, nx), np.nan, np.float32)
    for i, stamp in enumerate(scene.stamps):
        rows, columns = stamp.flux.shape
        planes["data"][i, :rows, :columns] = np.where(stamp.good, stamp.flux, np.nan)
        planes["error"][i, :rows, :columns] = np.where(stamp.good, stamp.flux_err, np.nan)
    for i, image in zip(scene.fitted, fitted.images, strict=True):
        model[i, : image.shape[0], : image.shape[1]] = image
    per_band = {
        "pivot_wave": np.array([each.pivot_wave for each in scene.stamps]),
        "pixel_scale": np.array([each.pixel_scale for each in scene.stamps]),
        "wcs": _text([each.wcs for each in scene.stamps]),
        "chi2": _all_bands(fitted.chi2, scene),
        "n_pix": np.array(
            [i in scene.fitted and each.good.sum() for i, each in enumerate(scene.stamps)], np.int32
        ),
    }
    found: Variables = {
        name: (("band", "y", "x"), each, dict(MORPHOLOGY.attrs(name)))
        for name, each in {**planes, "model": model}.items()
    }
    for name, each in per_band.items():
        found[name] = (("band",), each, dict(MORPHOLOGY.attrs(name)))
    return found


def _all_bands(values: Floats, scene: Scene) -> Floats:
    """Return values (..., n_fitted) of all bands (..., n_band), NaN where not fitted."""
    found = np.full((*values.shape[:-1], len(scene.stamps)), np.nan)
    found[..., list(scene.fitted)] = values
    return found


def _text(names: Sequence[str]) -> NDArray[np.object_]:
    """Return text in the form that stores accept."""
    return np.array(names, dtype=np.object_)
