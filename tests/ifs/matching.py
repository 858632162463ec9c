"""Images and spectra of pixels whose models are known, quick to make."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import xarray as xr

from pxdask.core.bandpass import Filter
from pxdask.core.models import ModelConfig
from pxdask.core.schema import CUBE, IMAGE
from pxdask.sps import PhotometryEngine, synthetic_ssp
from pxdask.sps.libraries import make_library
from pxdask.sps.observed import observer_of

Z = 0.03
MASS = 1e8
WAVE = np.arange(3700.0, 9000.0, 10.0)
X = 2 * (WAVE - WAVE[0]) / (WAVE[-1] - WAVE[0]) - 1
CENTRES = {"u": 3550, "g": 4750, "r": 6200, "i": 7650, "z": 9000, "j": 12500, "k": 21600}
FILTERS = tuple(
    Filter(name, wave * np.array([0.9, 0.92, 1.08, 1.1]), np.array([0.0, 1.0, 1.0, 0.0]))
    for name, wave in CENTRES.items()
)
GRI = tuple(band for band in FILTERS if band.name in "gri")
CONFIG = ModelConfig(
    n_models=4096, sfh="tau", priors={"log_tau": 0.5, "dust2": {"low": 0.0, "high": 2.0}}
)


@dataclass(frozen=True)
class Mock:
    """A galaxy: what is observed, and the flux that is true."""

    images: xr.Dataset
    spectra: xr.Dataset
    flux: np.ndarray
    mismatch: np.ndarray


@cache
def library(redshift=Z):
    """Return models of synthetic populations; made once."""
    ssp = synthetic_ssp(n_wave=1000)
    return make_library(ssp, FILTERS, settings=CONFIG, redshift=redshift, seed=3)


def images_of(flux, flux_err, *, flags=None):
    """Return fluxes (n_band, ny, nx) as image/1."""
    n = len(CENTRES)
    pivots = library().draw()["pivot_wave"].values
    values = {
        "flux": flux.astype(np.float32),
        "flux_err": flux_err.astype(np.float32),
        "flags": np.zeros(flux.shape, np.uint16) if flags is None else flags,
        "psf_fwhm": np.full(n, 2.5),
        "noise_area": np.ones(n),
    }
    coords = {"band": np.array(list(CENTRES), dtype=object), "pivot_wave": pivots}
    return _dataset(IMAGE, values, coords)


def spectra_of(flux, flux_err, *, region=None, flags=None, wave=WAVE):
    """Return fluxes (n_wave, ny, nx) as cube/1."""
    values = {
        "flux": flux.astype(np.float32),
        "flux_err": flux_err.astype(np.float32),
        "flags": np.zeros(flux.shape, np.uint16) if flags is None else flags,
        "lsf_fwhm": np.full(wave.size, 25.0),
        "region": np.ones(flux.shape[1:], bool) if region is None else region,
    }
    return _dataset(CUBE, values, {"wave": wave})


def _dataset(schema, values, coords):
    def declared(name, value):
        return (schema.variables[name].dims, value, schema.attrs(name))

    return schema.validate(
        xr.Dataset(
            {name: declared(name, value) for name, value in values.items()},
            coords={name: declared(name, value) for name, value in coords.items()},
            attrs={"schema": schema.tag},
        )
    )


def smooth_mismatch(side, *, amplitude=0.2):
    """Return a cubic in wavelength that changes over the grid, (n_wave, side, side)."""
    y, x = np.indices((side, side)) / max(side - 1, 1) * 2 - 1
    parts = (0.4 * x, 0.3 + 0.2 * y, 0.2 * x * y, -0.3 * y)
    change = sum(
        part * np.polynomial.legendre.Legendre.basis(k)(X)[:, None, None]
        for k, part in enumerate(parts)
    )
    return 1 + amplitude * change / np.abs(change).max()


@cache
def mock(*, side=12, noise=True, seed=4):
    """Return a galaxy with gradients, its models between those of the library.

    S/N is 50 in every band and 10 at every wavelength.
    """
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side)) / max(side - 1, 1) * 2 - 1
    radius = np.hypot(x, y).ravel()
    parameters = {
        "log_age": 0.8 - 0.3 * radius,
        "logzsol": -0.2 - 0.4 * radius,
        "dust2": 0.7 - 0.3 * radius,
    }
    models = library()
    engine = PhotometryEngine(models.ssp, FILTERS, redshift=Z, settings=CONFIG)
    mass = MASS * np.exp(-radius)
    bands = (engine.flux(parameters) * mass[:, None]).T.reshape(-1, side, side).astype(float)
    observer = observer_of(models, wave=WAVE, lsf_fwhm=np.full(WAVE.size, 25.0))
    flux = (observer.spectra(parameters) * mass[:, None]).T.reshape(-1, side, side).astype(float)
    mismatch = smooth_mismatch(side)
    seen, error, band_err = flux * mismatch, 0.1 * flux, 0.02 * bands
    if noise:
        seen = seen + error * rng.normal(size=seen.shape)
        bands = bands + band_err * rng.normal(size=bands.shape)
    return Mock(images_of(bands, band_err), spectra_of(seen, error), flux, mismatch)
