"""Twelve bands of a mock galaxy, FUV to W2, to one PSF and 131 x 131 pixels of 1.5 arcsec.

`images_131_*`: one galaxy, reading included. Baselines: piXedfit's 7.9 CPU seconds; the same steps
done naively (`_naive`: whole frames through astropy's ``convolve_fft``, variances with the squared
kernel, and ``reproject_exact`` of image and variance); for memory (the peak of what Python and
numpy allocate) the bytes of all frames.

`images_100_*`: 100 galaxies of 30 arcsec cut from one 2600 x 2600 frame in nine bands (KiDS and
VIKING where the data are there, else noise), each matched to the widest PSF. Baselines: nine whole
frames through ``convolve_fft`` (one timed), all galaxies at once; for `opens`, the times that a
file is opened for one band of one galaxy, what it was before files stayed open; for memory one
frame.
"""

from __future__ import annotations

import math
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import pytest
from astropy.convolution import convolve_fft
from astropy.io import fits
from astropy.table import Table
from reproject import reproject_exact

from benchmarks.harness import Row, cpu_seconds, row
from pxdask.core.config import SurveyConfig
from pxdask.images import Grid, footprint
from pxdask.images.grid import gnomonic_grid
from pxdask.images.psf import Psf, matching_kernel
from pxdask.io.catalog import read_catalog, rows
from pxdask.io.fits import write_image
from pxdask.io.raw import read_raw
from pxdask.survey.inspect import inspect_galaxy
from pxdask.survey.mock import make_mocks
from pxdask.survey.pipeline import Pipeline
from pxdask.survey.products import store_products
from tests.paths import real_data

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

CATALOGS = Path(__file__).parent.parent / "catalogs"
STAMP = 131 * 1.5
N_FRAME = 2600
FRAME_SCALE = 0.339  # VIRCAM's pixels [arcsec]
N_SIDE = 10  # galaxies along each side of the frame
OPENS_BEFORE = 12  # counted: 4 to inspect a band of a galaxy, 8 to read and process it

# widths are typical of the surveys (Kuijken et al. 2019, A&A 625, A2); SDSS stands in for OmegaCAM
FRAMES: Mapping[str, tuple[str, float, float]] = {
    "u": ("sdss_u", 1.0, 0.0),
    "g": ("sdss_g", 0.9, 0.0),
    "r": ("sdss_r", 0.7, 0.0),
    "i": ("sdss_i", 0.8, 0.0),
    "Z": ("vista_vircam_Z", 1.0, 30.0),
    "Y": ("vista_vircam_Y", 1.0, 30.0),
    "J": ("vista_vircam_J", 0.9, 30.0),
    "H": ("vista_vircam_H", 1.0, 30.0),
    "Ks": ("vista_vircam_Ks", 1.1, 30.0),
}
"""Filter, width of the PSF [arcsec] and zero point [mag] of each band of the frame."""


def measure() -> list[Row]:
    """Time the image stages of one galaxy, and of a hundred from one frame."""
    return [*_one_galaxy(), *_one_frame()]


def _one_galaxy() -> list[Row]:
    """Return the figures of twelve bands of one galaxy."""
    config = SurveyConfig.load(CATALOGS / "demo.yaml")
    images = config.images.model_copy(update={"stamp_size": STAMP})
    config = config.model_copy(update={"images": images})
    with tempfile.TemporaryDirectory() as folder:
        catalog = read_catalog(Table(read_catalog(CATALOGS / "demo.ecsv")[:1]))
        make_mocks(catalog, folder)
        galaxy = next(rows(catalog))
        inputs = inspect_galaxy(galaxy, config, root=folder)
        products = store_products(
            Path(folder) / "run", config.models, [band.filter for band in inputs.bands]
        )
        pipeline = Pipeline(inputs, config, products)

        def process() -> None:
            _process(pipeline)

        def naive() -> None:
            for band in inputs.bands:
                _naive(pipeline, band.name)

        seconds = cpu_seconds(process)
        paths = [path for band in inputs.bands for path in (band.image, band.uncertainty.path)]
        frames = sum(Path(path).stat().st_size for path in paths) / 1e6
        return [
            row("images_131_cpu_s", seconds, "s", baseline=7.9, goal="<= 2"),
            row("images_131_to_naive", seconds, "s", baseline=_once(naive)),
            row("images_131_peak_mb", _peak_mb(process), "MB", baseline=frames),
        ]


def _one_frame() -> list[Row]:
    """Return the figures of a hundred galaxies of one frame in nine bands."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kernel = _write_frame(folder)
        config = SurveyConfig.parse(_frame_settings())
        galaxies = _frame_galaxies()
        curves = [curve for curve, _, _ in FRAMES.values()]
        products = store_products(folder / "run", config.models, curves)

        def inspect_and_process() -> None:
            for galaxy in galaxies:
                inputs = inspect_galaxy(galaxy, config, root=name)
                _process(Pipeline(inputs, config, products))

        with patch.object(fits, "open", wraps=fits.open) as opening:
            seconds = _once(inspect_and_process)
        opens = opening.call_count / (len(galaxies) * len(FRAMES))
        frame = np.zeros((N_FRAME, N_FRAME))
        whole = len(FRAMES) * _once(lambda: _convolved(frame, frame, kernel))
        return [
            row("images_100_cpu_s", seconds, "s", baseline=whole),
            row("images_100_opens", opens, "", baseline=OPENS_BEFORE, goal="<= 2"),
            row("images_100_peak_mb", _peak_mb(inspect_and_process), "MB", baseline=27.0),
        ]


def _process(pipeline: Pipeline) -> None:
    """Read and process all bands of a galaxy, as the survey's tasks do."""
    inputs = pipeline.inputs
    for band in inputs.bands:
        header = inputs.headers[band.name]
        part = footprint(header, inputs.grid, margin_pix=pipeline.margin_pix(band.name))
        raw = read_raw(band, header, footprint=part)
        pipeline.image_stage(band.name).run(inputs.galaxy, raw=raw)


def _naive(pipeline: Pipeline, name: str) -> None:
    """Bring one band's whole frame to the grid by the general tools."""
    header, band = pipeline.inputs.headers[name], pipeline.band(name)
    raw = read_raw(band, header)
    source = Grid(header.wcs, header.shape)
    kernel = matching_kernel(
        Psf(fwhm=band.psf.fwhm), pipeline.target(), pixel_scale=source.pixel_scale, band=name
    )
    planes = (raw["image"].values.astype(float), raw["uncertainty"].values.astype(float) ** 2)
    if kernel is not None:
        planes = _convolved(*planes, kernel)
    target = pipeline.inputs.grid
    for plane in planes:
        reproject_exact((plane, source.to_wcs()), target.to_wcs(), shape_out=target.shape)


def _convolved(
    flux: NDArray[np.float64], variance: NDArray[np.float64], kernel: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return flux and variance convolved by astropy."""
    return (
        convolve_fft(flux, kernel, allow_huge=True),
        convolve_fft(variance, kernel**2, normalize_kernel=False, allow_huge=True),
    )


def _frame_settings() -> dict[str, Any]:
    """Return the settings of the nine-band frame."""
    return {
        "name": "frame",
        "bands": [
            {
                "name": band,
                "filter": curve,
                "image": f"{band}.fits",
                "uncertainty": {"path": f"{band}_sigma.fits"},
                "zero_point": zero_point,
                "psf": {"fwhm": width},
            }
            for band, (curve, width, zero_point) in FRAMES.items()
        ],
        "images": {"stamp_size": 30.0},
    }


def _frame_grid() -> Grid:
    """Return the frame's made-up place on the sky."""
    return gnomonic_grid(ra=180.0, dec=0.0, pixel_scale=FRAME_SCALE, size=N_FRAME * FRAME_SCALE)


def _frame_galaxies() -> list[dict[str, Any]]:
    """Return rows of a catalogue, evenly spread over the frame."""
    steps = (np.arange(N_SIDE) + 0.5) * N_FRAME / N_SIDE
    x, y = (a.ravel() for a in np.meshgrid(steps, steps))
    ra, dec = _frame_grid().to_wcs().pixel_to_world_values(x, y)
    return [
        {"id": f"g{i}", "ra": float(a), "dec": float(d), "redshift": 0.1}
        for i, (a, d) in enumerate(zip(ra, dec, strict=True))
    ]


def _write_frame(folder: Path) -> NDArray[np.float64]:
    """Write the nine bands and their uncertainties; return the kernel of the sharpest."""
    cards = dict(_frame_grid().to_wcs().to_header())
    try:
        source: Path | None = real_data("kids_viking_9band")
    except pytest.skip.Exception as absent:
        print(f"{absent}; noise instead")
        source = None
    rng = np.random.default_rng(1)
    for band in FRAMES:
        if source is None:
            image = rng.normal(size=(N_FRAME, N_FRAME)).astype(np.float32)
        else:
            image = fits.getdata(source / f"{band}.fits").astype(np.float32)
        spread = float(np.nanmedian(np.abs(image - np.nanmedian(image)))) * 1.4826
        write_image(folder / f"{band}.fits", image, cards)
        write_image(folder / f"{band}_sigma.fits", np.full_like(image, spread), cards)
    widths = [width for _, width, _ in FRAMES.values()]
    kernel = matching_kernel(Psf(fwhm=min(widths)), Psf(fwhm=max(widths)), pixel_scale=FRAME_SCALE)
    return np.ones((1, 1)) if kernel is None else kernel


def _once(work: Callable[[], object]) -> float:
    """Return the CPU time of some work, done once [s]."""
    start = time.process_time()
    work()
    return time.process_time() - start


def _peak_mb(work: Callable[[], object]) -> float:
    """Return the most that some work has allocated at a time [MB]."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return math.ceil(peak / 1e5) / 10
