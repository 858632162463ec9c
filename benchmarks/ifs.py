"""Integral-field cubes to the images' grid, and to their light.

`ifs_spatial_s`: a MaNGA-like cube of 72 x 72 spaxels and 4563 wavelengths, float32, read from its
file and brought to 60 x 60 pixels of 1.5 arcsec and a PSF of 6.37 arcsec, in chunks of 64
wavelengths; CPU seconds. Baseline: the same slices done one by one by the general tools
(astropy's ``convolve_fft`` of flux and variance, and ``reproject_exact`` of both), of which twelve
are timed. `ifs_spatial_peak_mb`: the most that Python and numpy allocate at a time; baseline: the
cube in float64. `ifs_spectral_3000px_s`: factors of 3,000 pixels of 12 bands and 4563 wavelengths,
of 3,000 models that all differ, against 65,536 models of BC03, and the spectra times them; CPU
seconds. Baseline: pixels one by one, each with its own model's spectrum and numpy's `legfit`, of
which twenty are timed.
"""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.convolution import convolve_fft
from reproject import reproject_exact

from benchmarks.harness import Row, row
from benchmarks.ifs_match import spectral_row
from pxdask.core.ifs import IfsConfig
from pxdask.core.models import ModelConfig
from pxdask.ifs import IfsStage
from pxdask.images.grid import Grid, gnomonic_grid
from pxdask.images.psf import Psf, matching_kernel
from pxdask.io.extensions import write_extensions
from pxdask.io.filters import load_filters
from pxdask.io.ifs import read_ifs, read_ifs_header
from pxdask.simulate import IFUS, MockGalaxy, extensions, observe_ifs, truth_maps
from pxdask.sps import PhotometryEngine, synthetic_ssp

if TYPE_CHECKING:
    from collections.abc import Callable

    from pxdask.io.ifs import IfsHeader

TARGET = 6.37  # WISE W2's PSF [arcsec]
CHUNK = 64
N_NAIVE = 12


def measure() -> list[Row]:
    """Time the spatial matching of a full-size cube."""
    with tempfile.TemporaryDirectory() as folder:
        config = IfsConfig(path=str(Path(folder) / "cube.fits"), chunk=CHUNK)
        galaxy = _write_cube(config.path)
        header = read_ifs_header(config)
        grid = gnomonic_grid(ra=galaxy.ra, dec=galaxy.dec, pixel_scale=1.5, size=90.0)
        stage = IfsStage(config=config, grid=grid, target=Psf(fwhm=TARGET))
        _match(stage, header, stop=CHUNK)  # uncounted: compilation
        seconds = _cpu(lambda: _match(stage, header, stop=header.shape[0]))
        naive = _cpu(lambda: _naive(stage, header)) / N_NAIVE * header.shape[0]
        tracemalloc.start()
        _match(stage, header, stop=4 * CHUNK)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        cube = float(np.prod(header.shape)) * 8 / 1e6
    return [
        row("ifs_spatial_s", seconds, "s", baseline=naive, goal="<= 60"),
        row("ifs_spatial_peak_mb", peak, "MB", baseline=cube, goal="<= 2000"),
        spectral_row(),
    ]


def _write_cube(path: str) -> MockGalaxy:
    """Write the cube of a mock galaxy and return the galaxy."""
    galaxy = MockGalaxy(
        id="mock", ra=150.1, dec=2.2, redshift=0.02, log_mass=10.6, r_eff=8.0,
        bulge_fraction=0.2, axis_ratio=0.7, position_angle=30.0,
    )  # fmt: skip
    ssp, settings = synthetic_ssp(n_wave=2000), ModelConfig(igm="none")
    engine = PhotometryEngine(
        ssp, load_filters(["sdss_r"]), redshift=galaxy.redshift, settings=settings
    )
    truth = truth_maps(galaxy, engine=engine, bands=["sdss_r"])
    made = observe_ifs(
        truth, IFUS["manga"], ssp=ssp, settings=settings, redshift=galaxy.redshift,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    write_extensions(path, extensions(made))
    return galaxy


def _match(stage: IfsStage, header: IfsHeader, *, stop: int) -> None:
    """Read and match wavelengths up to one, as the survey's tasks do."""
    for start in range(0, stop, CHUNK):
        slices = read_ifs(header, start, min(start + CHUNK, stop))
        stage.run({"id": "mock"}, slices=slices)


def _naive(stage: IfsStage, header: IfsHeader) -> None:
    """Bring some slices to the grid by the general tools."""
    slices = read_ifs(header, 0, N_NAIVE)
    source = Grid(slices.attrs["wcs"], header.shape[1:])
    kernel = matching_kernel(
        Psf(fwhm=float(header.psf_fwhm[0])), Psf(fwhm=TARGET), pixel_scale=source.pixel_scale
    )
    flux, error = (slices[name].values.astype(float) for name in ("flux", "flux_err"))
    for planes in zip(flux, error**2, strict=True):
        weights = (kernel, None if kernel is None else kernel**2)
        for plane, weight in zip(planes, weights, strict=True):
            smooth = convolve_fft(np.nan_to_num(plane), weight, normalize_kernel=False)
            reproject_exact(
                (smooth, source.to_wcs()), stage.grid.to_wcs(), shape_out=stage.grid.shape
            )


def _cpu(work: Callable[[], object]) -> float:
    """Return the CPU time of some work, done once [s]."""
    start = time.process_time()
    work()
    return time.process_time() - start
