"""From images as delivered to cubes on one grid, with one PSF and honest errors."""

from pxdask.images.cube import CubeStage
from pxdask.images.grid import Grid, common_grid, covers, footprint
from pxdask.images.psf import Psf, kernel_radius
from pxdask.images.stage import ImageStage, band_psf

__all__ = [
    "CubeStage",
    "Grid",
    "ImageStage",
    "Psf",
    "band_psf",
    "common_grid",
    "covers",
    "footprint",
    "kernel_radius",
]
