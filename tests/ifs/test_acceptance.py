"""A mock galaxy in twelve bands and in cubes of both kinds of IFU, from one truth."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import xarray as xr
from astropy.wcs import WCS

from pxdask.core.ifs import IfsConfig
from pxdask.core.models import ModelConfig
from pxdask.core.schema import IMAGE
from pxdask.ifs import IfsStage
from pxdask.ifs.spectral import corrected, match_spectra
from pxdask.ifs.synthetic import band_fluxes
from pxdask.images.grid import gnomonic_grid
from pxdask.images.psf import Psf
from pxdask.io.filters import load_filters
from pxdask.simulate import IFUS, MockGalaxy, observe_ifs, smooth_mismatch, truth_maps
from pxdask.simulate.sampling import resample
from pxdask.sps import PhotometryEngine, synthetic_ssp
from pxdask.sps.libraries import make_library
from tests.ifs.cubes import slices

BANDS = (
    "galex_fuv", "galex_nuv", "sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z",
    "2mass_j", "2mass_h", "2mass_k", "wise_w1", "wise_w2",
)  # fmt: skip
PSF = 3.0
SETTINGS = ModelConfig(n_models=65536)
GALAXY = MockGalaxy(
    id="toy", ra=150.1, dec=2.2, redshift=0.02, log_mass=10.6, r_eff=12.0, bulge_fraction=0.15,
    axis_ratio=0.7, position_angle=30.0,
)  # fmt: skip
# Fewer wavelengths than real, so that the test is short; as many bins as the factor notices.
SPECS = {
    "manga": replace(IFUS["manga"], wave_step=8e-4, n_wave=570),
    "califa": replace(IFUS["califa"], wave_step=8.0, n_wave=476),
}


@cache
def models():
    """Return populations, a library and the truth; made once."""
    ssp, filters = synthetic_ssp(n_wave=2000), load_filters(BANDS)
    library = make_library(ssp, filters, settings=SETTINGS, redshift=GALAXY.redshift, seed=1)
    engine = PhotometryEngine(ssp, filters, redshift=GALAXY.redshift, settings=SETTINGS)
    return library, truth_maps(GALAXY, engine=engine, bands=BANDS)


def observed_images(grid, rng):
    """Return matched images: S/N 100 at the brightest pixel of each band, 1 % of calibration.

    Their own pixels are of 0.6 arcsec; they go to the grid the same way as slices of a cube,
    because what pixels of 1.5 arcsec do to a PSF of 3 must be alike: it is 10 % of its width.
    """
    library, truth = models()
    own = gnomonic_grid(ra=GALAXY.ra, dec=GALAXY.dec, pixel_scale=0.6, size=90.0)
    light = resample(
        truth["flux"].values.astype(float), source=WCS(truth.attrs["wcs"]), target=WCS(own.wcs),
        shape=own.shape, psf_fwhm=2.0,
    )  # fmt: skip
    planes = slices(own, light, 1.0, psf=2.0, wave=library.draw()["pivot_wave"].values)
    brought = IfsStage(IfsConfig(path="none", extinction=False), grid, Psf(fwhm=PSF))
    light = brought.run({"id": "toy"}, slices=planes)["flux"].values.astype(float)
    error = np.hypot(light.max(axis=(1, 2), keepdims=True) / 100, 0.01 * np.abs(light))
    n = len(BANDS)
    values = {
        "flux": (light + error * rng.normal(size=light.shape)).astype(np.float32),
        "flux_err": error.astype(np.float32),
        "flags": np.zeros(light.shape, np.uint16),
        "psf_fwhm": np.full(n, PSF),
        "noise_area": np.ones(n),
        "band": np.array(BANDS, dtype=object),
        "pivot_wave": library.draw()["pivot_wave"].values,
    }
    made = xr.Dataset(
        {
            name: (IMAGE.variables[name].dims, value, IMAGE.attrs(name))
            for name, value in values.items()
        },
        attrs={"schema": IMAGE.tag, "wcs": grid.wcs},
    )
    return IMAGE.validate(made.set_coords(["band", "pivot_wave"]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["manga", "califa"])
def test_an_injected_mismatch_is_recovered_and_bands_agree(kind):
    rng, spec = np.random.default_rng(11), SPECS[kind]
    library, truth = models()
    mismatch = smooth_mismatch(rng, amplitude=0.2, wave_range=tuple(spec.wave[[0, -1]]))
    seen = observe_ifs(
        truth, spec, ssp=library.ssp, settings=SETTINGS, redshift=GALAXY.redshift, rng=rng,
        mismatch=mismatch,
    )  # fmt: skip
    grid = gnomonic_grid(ra=GALAXY.ra, dec=GALAXY.dec, pixel_scale=1.5, size=48.0)
    images = observed_images(grid, rng)
    config = IfsConfig(path="none", kind=kind, extinction=False)
    cube = IfsStage(config, grid, Psf(fwhm=PSF)).run({"id": "toy"}, slices=seen.slices())
    result = match_spectra(images, cube, library, settings=config.match)

    bright = (images["flux"] / images["flux_err"]).sel(band=["sdss_g", "sdss_r", "sdss_i"])
    good = np.all(bright.values > 10, axis=0) & (result.order >= 0)
    assert np.count_nonzero(good) > 200
    rows, columns = np.nonzero(good)
    sky = WCS(grid.wcs).pixel_to_world_values(columns, rows)
    east = (sky[0] - GALAXY.ra) * np.cos(np.radians(GALAXY.dec)) * 3600
    north = (sky[1] - GALAXY.dec) * 3600
    injected = mismatch(spec.wave, east, north)
    assert np.abs(injected - 1).max() > 0.05
    error = result.factor(spec.wave, rows, columns) * injected - 1
    # 2.2 and 2.5 %; of images without noise it is 1.2 %, from models that are not the galaxy's
    assert np.sqrt(np.mean(error**2)) < 0.03

    bands = [band for band in library.filters if band.name in ("sdss_g", "sdss_r", "sdss_i")]
    if kind == "califa":
        bands = bands[:2]  # which end before the i band does
    # medians are right to 0.5 %, scatters are of 2 to 3 %
    synthetic = band_fluxes(corrected(cube, result), bands)
    for name, flux in zip(synthetic.bands, synthetic.flux, strict=True):
        ratio = (flux / images["flux"].sel(band=name).values)[good]
        assert abs(np.median(ratio) - 1) < 0.02
        assert np.std(ratio) < 0.05
