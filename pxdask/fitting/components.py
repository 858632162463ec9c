"""Model spectra of a posterior in parts, and its star formation history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pxdask.core.models import FixedPrior
from pxdask.core.schema import QUANTILES, Schema, Var
from pxdask.fitting.draws import at_each_redshift, on_grid, redshifts, star_formation_rates
from pxdask.kernels.bandpass import flux_per_frequency
from pxdask.sps.parameters import model_parameters
from pxdask.sps.spectrum import SpectrumEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pxdask.core.models import ModelConfig
    from pxdask.fitting.posterior import FittedSeds
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

MODEL_SED = Schema(
    "model-sed",
    1,
    {
        "band": Var(("band",), "str", "", "name of the band"),
        "pivot_wave": Var(("band",), "float64", "Angstrom", "pivot wavelength of the band"),
        "quantile": Var(("quantile",), "float64", "", "posterior probability below the value"),
        "flux": Var(("quantile", "band"), "float64", "uJy", "flux density of the models"),
        "wave": Var(("wave",), "float64", "Angstrom", "observed wavelength, vacuum"),
        "spectrum": Var(("quantile", "wave"), "float64", "uJy", "flux density of the models"),
        "component": Var(("component",), "str", "", "what shines"),
        "parts": Var(
            ("component", "wave"), "float64", "uJy", "median of each component, behind its dust"
        ),
        "without_dust": Var(
            ("wave",), "float64", "uJy", "median of stars and gas, were there no dust"
        ),
    },
)
"""What `model_sed` returns."""

HISTORY = Schema(
    "history",
    1,
    {
        "edge": Var(("edge",), "float64", "Gyr", "ends of the intervals of lookback time"),
        "quantile": Var(("quantile",), "float64", "", "posterior probability below the value"),
        "rate": Var(
            ("quantile", "time"), "float64", "Msun yr-1", "mean star formation rate in the interval"
        ),
        "formed": Var(
            ("quantile", "time"),
            "float64",
            "",
            "part of the stars, by mass, that had formed by the interval's younger end",
        ),
    },
)
"""What `star_formation_history` returns."""

HISTORY_QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)
"""Quantiles of histories: the median, and ends of intervals of 68 and 95 per cent."""


def model_sed(
    posterior: FittedSeds,
    which: int | str = 0,
    *,
    n_draw: int = 100,
    quantiles: Sequence[float] = QUANTILES,
) -> xr.Dataset:
    """Return quantiles of the models that fit an SED, and medians of their components.

    Parameters
    ----------
    posterior : FittedSeds
        With samples.
    which : int or str
        Row, or name, of the SED.
    n_draw : int
        Posterior samples of which models are made; at most those that were kept.
    quantiles : sequence of float
        Posterior probabilities.

    Returns
    -------
    sed : Dataset
        `MODEL_SED`: "stellar", and "nebular", "dust", "agn" where the models have them.

    Raises
    ------
    ConfigError
        If no samples were kept, or there is no such SED.
    DataError
        If the SED has no posterior.

    Notes
    -----
    Medians of components are taken wavelength by wavelength, so they add up to the median of
    the whole only nearly. Where redshift is free, wavelengths are those of its median.
    """
    draws = posterior.draws(which, n_draw=n_draw)
    library = posterior.models_of(which)
    made = _made(library, draws)
    whole = np.sum(list(made.parts.values()), axis=0)
    median = {name: np.median(part, axis=0) for name, part in made.parts.items()}
    variables = {
        "pivot_wave": (("band",), posterior.seds["pivot_wave"].values),
        "flux": (("quantile", "band"), np.quantile(made.flux, quantiles, axis=0)),
        "spectrum": (("quantile", "wave"), np.quantile(whole, quantiles, axis=0)),
        "parts": (("component", "wave"), np.array(list(median.values()))),
        "without_dust": (("wave",), np.median(made.without_dust, axis=0)),
        "band": (("band",), np.array(library.bands, dtype=object)),
        "quantile": (("quantile",), np.array(quantiles, np.float64)),
        "wave": (("wave",), made.wave),
        "component": (("component",), np.array(list(median), dtype=object)),
    }
    dataset = xr.Dataset(
        {name: (*value, MODEL_SED.attrs(name)) for name, value in variables.items()},
        attrs={"schema": MODEL_SED.tag, "n_draw": int(draws["log_mass"].size)},
    ).set_coords(["pivot_wave"])
    return MODEL_SED.validate(dataset)


def star_formation_history(
    posterior: FittedSeds,
    which: int | str = 0,
    *,
    n_draw: int = 300,
    n_time: int = 40,
    quantiles: Sequence[float] = HISTORY_QUANTILES,
) -> xr.Dataset:
    """Return quantiles of the star formation rate, and of the mass formed, of an SED's models.

    Parameters
    ----------
    posterior, which, n_draw, quantiles
        As of `model_sed`; the same errors.
    n_time : int
        Intervals of lookback time: from now to 3 Myr, then evenly in the logarithm.

    Returns
    -------
    history : Dataset
        `HISTORY`.
    """
    draws = posterior.draws(which, n_draw=n_draw)
    edges, rates = star_formation_rates(posterior.models_of(which), draws, n_time=n_time)
    mass = rates * np.diff(edges)
    formed = np.cumsum(mass[:, ::-1], axis=1)[:, ::-1] / mass.sum(axis=1, keepdims=True)
    variables = {
        "edge": (("edge",), edges),
        "quantile": (("quantile",), np.array(quantiles, np.float64)),
        "rate": (("quantile", "time"), np.quantile(rates, quantiles, axis=0)),
        "formed": (("quantile", "time"), np.quantile(formed, quantiles, axis=0)),
    }
    dataset = xr.Dataset(
        {name: (*value, HISTORY.attrs(name)) for name, value in variables.items()},
        attrs={"schema": HISTORY.tag, "n_draw": int(draws["log_mass"].size)},
    )
    return HISTORY.validate(dataset)


@dataclass(frozen=True, eq=False)
class _Made:
    """Models of samples [uJy]: ``flux`` (n_draw, n_band), the others (n_draw, n_wave)."""

    flux: Floats
    wave: Floats
    parts: Mapping[str, Floats]
    without_dust: Floats


def _made(library: ModelLibrary, draws: Mapping[str, Floats]) -> _Made:
    """Return the models of samples, at the redshift of each."""
    n_draw = draws["log_mass"].size
    bare = without_dust(library.settings)
    middle = float(np.median(redshifts(library, draws)))
    grid = SpectrumEngine(library.ssp, settings=bare, redshift=middle, frame="observed").wave
    flux = np.empty((n_draw, len(library.filters)))
    found: dict[str, Floats] = {}
    for some in at_each_redshift(library, draws):
        formed = some.formed[:, None]
        flux[some.rows] = formed * some.engine.flux(some.parameters)
        for settings, prefix in ((library.settings, ""), (bare, "bare ")):
            spectra = SpectrumEngine(
                library.ssp, settings=settings, redshift=some.engine.redshift, frame="observed"
            )
            wanted = {name: some.parameters[name] for name in spectra.parameters}
            for name, part in spectra.components(wanted).items():
                into = found.setdefault(prefix + name, np.zeros((n_draw, grid.size)))
                into[some.rows] = on_grid(formed * part, spectra.wave, grid=grid)
    in_ujy = {name: flux_per_frequency(part, pivot=grid) for name, part in found.items()}
    dustless = sum((in_ujy.pop(name) for name in list(in_ujy) if name.startswith("bare ")), 0.0)
    return _Made(flux, grid, in_ujy, np.asarray(dustless))


def without_dust(settings: ModelConfig) -> ModelConfig:
    """Return settings of the same stars and gas without dust, and without a torus.

    Priors of parameters that are then without effect are left out.
    """
    bare = settings.model_copy(update={"dust_emission": False, "agn": False})
    known = set(model_parameters(bare))
    none = {name: FixedPrior(value=0.0) for name in ("dust1", "dust2") if name in known}
    priors = {name: prior for name, prior in settings.priors.items() if name in known}
    return bare.model_copy(update={"priors": {**priors, **none}})
