"""Populations whose spectra tell age and metallicity apart, mocks of them, and fits of these."""

from functools import cache

import numpy as np
import xarray as xr

from pxdask.core.bandpass import Filter
from pxdask.core.config import FitConfig
from pxdask.core.models import ModelConfig
from pxdask.core.schema import SSP
from pxdask.fitting.seds import Seds
from pxdask.fitting.spectral import SpectralRdsps
from pxdask.sps import PhotometryEngine, synthetic_ssp
from pxdask.sps.libraries import make_library
from pxdask.sps.observed import observer_of

Z = 0.03
MASS = 1e9
WAVE = np.arange(4150.0, 6650.0, 2.5)
LSF = np.full(WAVE.size, 3.5)
X = 2 * (WAVE - WAVE[0]) / (WAVE[-1] - WAVE[0]) - 1
BANDS = tuple(
    Filter(name, np.array([0.9, 0.95, 1.05, 1.1]) * wave, np.array([0.0, 1.0, 1.0, 0.0]))
    for name, wave in {"u": 3600.0, "g": 4800.0, "i": 7600.0, "j": 12500.0}.items()
)
CONFIG = ModelConfig(
    nebular=False, n_models=2048, derived=("log_mw_age",), priors={"log_tau": 0.5, "dust2": 0.3}
)


@cache
def lined_ssp():
    """Populations whose lines tell age (4200, 4500) and metallicity (5175, 5270) apart."""
    plain = synthetic_ssp(n_wave=300)
    old = plain["wave_edges"].values
    edges = np.concatenate([old[old < 3690], np.arange(3700.0, 7000.0), old[old > 7010]])
    wave = 0.5 * (edges[1:] + edges[:-1])
    values = {name: plain[name].values for name in SSP.variables}
    for name in [n for n, var in SSP.variables.items() if "wave" in var.dims and n != "wave"]:
        flat = values[name].reshape(-1, values[name].shape[-1]).astype(float)
        rows = np.array([np.interp(wave, plain["wave"].values, row) for row in flat])
        values[name] = rows.reshape(*values[name].shape[:-1], wave.size)
    values |= {"wave": wave, "wave_edges": edges}
    age = np.clip((values["log_age"] - 7) / 3, 0, 1)[None, :, None]
    metal = np.clip((values["log_z"] + 2) / 2.5, 0, 1)[:, None, None]
    shape = {at: np.exp(-0.5 * ((wave - at) / 4.0) ** 2) for at in (4200, 4500, 5175, 5270)}
    depth = 0.6 * age * (shape[4200] + shape[4500]) + 0.6 * metal * (shape[5175] + shape[5270])
    values["flux"] = values["flux"] * (1 - depth)
    return SSP.validate(
        xr.Dataset(
            {
                name: (var.dims, np.asarray(values[name], var.dtype), SSP.attrs(name))
                for name, var in SSP.variables.items()
            },
            attrs=plain.attrs,
        )
    )


@cache
def library(n_model=2048, *, free=False):
    config = CONFIG.model_copy(update={"n_models": n_model})
    if free:
        priors = {**CONFIG.priors, "redshift": {"low": 0.025, "high": 0.035}}
        config = ModelConfig(nebular=False, n_models=n_model, priors=priors)
    return make_library(lined_ssp(), BANDS, settings=config, redshift=None if free else Z, seed=3)


@cache
def mocks(n_sed=8, *, snr=30.0, noise=True):
    """SEDs of models that are not in the library, and their truth."""
    rng = np.random.default_rng(7)
    truth = {"log_age": rng.uniform(-0.3, 0.9, n_sed), "logzsol": rng.uniform(-1.2, 0.2, n_sed)}
    engine = PhotometryEngine(lined_ssp(), BANDS, redshift=Z, settings=CONFIG)
    flux = MASS * engine.flux(truth).astype(float)
    truth |= engine.derived(truth)
    parameters = {name: truth[name] for name in engine.parameters}
    seen = observer_of(library(), wave=WAVE, lsf_fwhm=LSF).spectra(parameters)
    spectrum = MASS * seen.astype(float)
    flux_err, spectrum_err = flux / 10, spectrum / snr
    if noise:
        flux = flux + flux_err * rng.standard_normal(flux.shape)
        spectrum = spectrum + spectrum_err * rng.standard_normal(spectrum.shape)
    keys = tuple(("mock", i) for i in range(n_sed))
    seds = Seds(
        flux, flux_err, keys, wave=WAVE, lsf_fwhm=LSF, spectrum=spectrum, spectrum_err=spectrum_err
    )
    return seds, truth


def fitter(*, likelihood="gaussian", max_memory=2.0, n_samples=0, **spectrum):
    return SpectralRdsps(
        FitConfig(
            systematic_error=0.0, likelihood=likelihood, max_memory=max_memory,
            n_samples=n_samples, spectrum={"clip_sigma": 0.0, **spectrum},
        )
    )  # fmt: skip


def fit_of(seds, *, of=None, **settings):
    return fitter(**settings).prepare(of or library()).fit(seds)
