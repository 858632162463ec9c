"""Spectra to the images' light: `ifs_spectral_3000px_s`, a row of the benchmark ``ifs``."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from benchmarks.harness import Row, cpu_seconds, row
from pxdask.core.ifs import MatchConfig
from pxdask.core.models import ModelConfig
from pxdask.core.schema import CUBE, IMAGE, Schema
from pxdask.ifs.spectral import corrected, match_spectra
from pxdask.io.filters import load_filters
from pxdask.kernels.emission_lines import near_lines
from pxdask.simulate import IFUS
from pxdask.sps.libraries import ModelLibrary, make_library
from pxdask.sps.observed import observed_spectra, observer_of
from pxdask.survey.products import ssp_dataset

SHAPE = (50, 60)
REDSHIFT, MASS = 0.03, 1e7
N_LOOP = 20
BANDS = (
    "galex_fuv", "galex_nuv", "sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z",
    "2mass_j", "2mass_h", "2mass_k", "wise_w1", "wise_w2",
)  # fmt: skip


def spectral_row() -> Row:
    """Time the matching of 3,000 pixels of 12 bands and a MaNGA cube's 4563 wavelengths."""
    library = make_library(
        ssp_dataset("bc03"), load_filters(BANDS), settings=ModelConfig(), redshift=REDSHIFT, seed=1
    )
    images, spectra = _pixels(library)
    settings = MatchConfig()
    library.draw()

    def work() -> None:
        corrected(spectra, match_spectra(images, spectra, library, settings=settings))

    baseline = cpu_seconds(lambda: _loop(images, spectra, library), repeats=1) / N_LOOP
    return row(
        "ifs_spectral_3000px_s", cpu_seconds(work), "s",
        baseline=baseline * SHAPE[0] * SHAPE[1], goal="<= 30",
    )  # fmt: skip


def _pixels(library: ModelLibrary) -> tuple[xr.Dataset, xr.Dataset]:
    """Return images and spectra of models of the library at S/N 30 a band, 10 a wavelength."""
    rng, spec, drawn = np.random.default_rng(2), IFUS["manga"], library.draw()
    n_band, n_wave = len(BANDS), spec.n_wave
    chosen = rng.integers(0, drawn.sizes["model"], SHAPE[0] * SHAPE[1])
    bands = MASS * drawn["flux"].values[chosen].T.reshape(n_band, *SHAPE)
    names = [str(name) for name, value in drawn.data_vars.items() if value.dims == ("model",)]
    light = MASS * observed_spectra(
        library, {name: drawn[name].values[chosen] for name in names},
        wave=spec.wave, lsf_fwhm=spec.lsf,
    ).T.reshape(n_wave, *SHAPE)  # fmt: skip
    noise = (1 + rng.normal(size=each.shape) / snr for each, snr in ((bands, 30), (light, 10)))
    images = {
        "flux": (bands * next(noise)).astype(np.float32),
        "flux_err": (bands / 30).astype(np.float32),
        "flags": np.zeros(bands.shape, np.uint16),
        "psf_fwhm": np.full(n_band, 2.5),
        "noise_area": np.ones(n_band),
        "band": np.array(BANDS, dtype=object),
        "pivot_wave": drawn["pivot_wave"].values,
    }
    spectra = {
        "flux": (light * next(noise)).astype(np.float32),
        "flux_err": (light / 10).astype(np.float32),
        "flags": np.zeros(light.shape, np.uint16),
        "region": np.ones(SHAPE, bool),
        "lsf_fwhm": spec.lsf,
        "wave": spec.wave,
    }
    return _dataset(IMAGE, images), _dataset(CUBE, spectra)


def _dataset(schema: Schema, values: dict[str, Any]) -> xr.Dataset:
    """Return arrays as a Dataset of a schema."""
    made = xr.Dataset(
        {name: (schema.variables[name].dims, each, schema.attrs(name))
         for name, each in values.items()},
        attrs={"schema": schema.tag},
    )  # fmt: skip
    return schema.validate(made)


def _loop(images: xr.Dataset, spectra: xr.Dataset, library: ModelLibrary) -> None:
    """Match some pixels one by one, each with its model's spectrum and numpy's least squares."""
    drawn = library.draw()
    models, wave = drawn["flux"].values, spectra["wave"].values
    names = [str(name) for name, value in drawn.data_vars.items() if value.dims == ("model",)]
    away = ~near_lines(wave / (1 + REDSHIFT), half_width=10.0)
    x = 2 * (wave - wave[0]) / (wave[-1] - wave[0]) - 1
    observer = observer_of(library, wave=wave, lsf_fwhm=spectra["lsf_fwhm"].values)
    for column in range(N_LOOP):
        flux, error = (images[name].values[:, 0, column] for name in ("flux", "flux_err"))
        scale = ((flux / error**2) @ models.T) / (error**-2.0 @ models.T**2)
        chi2 = (((flux[:, None] - scale * models.T) / error[:, None]) ** 2).sum(axis=0)
        best = [int(np.argmin(chi2))]
        made = observer.spectra({name: drawn[name].values[best] for name in names})
        spectrum = scale[best] * made[0]
        ratio = (spectrum / spectra["flux"].values[:, 0, column])[away]
        fit = np.polynomial.legendre.legfit(x[away], ratio, 3, w=1 / np.abs(ratio))
        spectra["flux"].values[:, 0, column] * np.polynomial.legendre.legval(x, fit)
