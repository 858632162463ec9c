"""Whether a network was trained for what is to be fitted."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from pxdask.core.errors import brief
from pxdask.core.models import MassPrior
from pxdask.core.provenance import differences
from pxdask.sps.parameters import prior_configs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from pxdask.core.bandpass import Filter
    from pxdask.core.fits import FitConfig
    from pxdask.core.models import ModelConfig
    from pxdask.npe.network import Network
    from pxdask.sps.libraries import ModelLibrary

_LIKELIHOOD = ("likelihood", "dof", "systematic_error", "systematic_sigma")
"""Settings of the fit that say what noise is; mocks had it."""

_NO_MATTER = ("n_models", "stored", "sampling", "redshift_step", "derived", "ssp", "priors")
"""Settings of models that posteriors do not depend on, or that are compared on their own."""

CLOSE = 1e-6
"""Relative difference of redshifts that are the same."""


def disagreements(network: Network, library: ModelLibrary, settings: FitConfig) -> list[str]:
    """Return all in which a network and what is to be fitted differ; see `Network.check`."""
    there, given = network.settings, settings.model_dump(mode="json")
    return [
        *_band_faults(network, library.filters),
        *_model_faults(network, library),
        *_redshift_faults(network, library),
        *filter(None, [unweighed_fault(library.settings, settings)]),
        *(
            f"{name}: the network knows {there.get(name)!r}, the fit has {given[name]!r}"
            for name in _LIKELIHOOD
            if there.get(name) != given[name]
        ),
    ]


def unweighed_fault(models: ModelConfig, settings: FitConfig) -> str:
    """Return what priors a fit would not heed as draws are not weighed; "" for none.

    Mocks have masses that make their S/N even, so that a network knows no prior of mass.
    """
    names = [name for name, prior in prior_configs(models).items() if isinstance(prior, MassPrior)]
    if settings.npe.reweight or not names:
        return ""
    return (
        f"fit.npe.reweight is false, and models.priors of {', '.join(names)} joint_with_mass: a"
        " network knows nothing of priors that depend on mass, which count only where draws are"
        " re-weighted. Wanted fit.npe.reweight: true, or models.priors of another form"
    )


def filter_digest(band: Filter) -> str:
    """Return the digest of a band's curve; its name does not count."""
    digest = hashlib.blake2b(band.detector.encode(), digest_size=8)
    for values in (band.wave, band.transmission):
        digest.update(np.ascontiguousarray(values, "<f8").tobytes())
    return digest.hexdigest()


def ssp_origin(ssp: xr.Dataset) -> dict[str, Any]:
    """Return what tells one SSP product from another, as JSON values."""
    return {str(name): value for name, value in ssp.attrs.items() if name != "schema"}


def _band_faults(network: Network, filters: Sequence[Filter]) -> list[str]:
    """Return in what bands differ."""
    names = tuple(band.name for band in filters)
    if names != network.bands:
        return [
            f"bands: the network knows {', '.join(network.bands)}, the fit has {', '.join(names)}"
        ]
    return [
        f"band {band.name}: the network knows another curve (digest {old}) than the fit's ({new})"
        for band, old in zip(filters, network.filters, strict=True)
        if (new := filter_digest(band)) != old
    ]


def _model_faults(network: Network, library: ModelLibrary) -> list[str]:
    """Return in what models differ."""
    there, given = (each.model_dump(mode="json") for each in (network.models, library.settings))
    faults = [
        f"models.{name}: the network knows {old!r}, the fit has {new!r}"
        for name, old, new in differences(
            {k: v for k, v in there.items() if k not in _NO_MATTER},
            {k: v for k, v in given.items() if k not in _NO_MATTER},
        )
    ]
    ssp = ssp_origin(library.ssp)
    if network.origin.get("ssp") != ssp:
        faults.append(
            f"populations: the network knows {brief(network.origin.get('ssp'))},"
            f" the fit has {brief(ssp)}"
        )
    old, new = (_priors(each) for each in (network.models, library.settings))
    faults += [
        f"prior of {name}: the network knows {old.get(name)}, the fit has {new.get(name)}"
        for name in sorted({*old, *new} - {"redshift"})
        if old.get(name) != new.get(name)
    ]
    return faults


def _redshift_faults(network: Network, library: ModelLibrary) -> list[str]:
    """Return whether redshifts are given to one and found by the other."""
    old, new = (_priors(each).get("redshift") for each in (network.models, library.settings))
    if network.redshift is None:
        if old != new:
            return [f"prior of redshift: the network knows {old}, the fit has {new}"]
        return []
    low, high = network.redshift
    if library.redshift is None or new is not None:
        return [f"redshift: the network must be told it, from {low:g} to {high:g}; it is free"]
    return []


def _priors(settings: ModelConfig) -> dict[str, dict[str, Any]]:
    """Return the priors of all parameters, fixed ones too, as JSON values."""
    return {name: p.model_dump(mode="json") for name, p in prior_configs(settings).items()}
