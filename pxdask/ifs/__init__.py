"""Integral-field cubes joined to images: one grid, one PSF, one flux scale."""

from pxdask.ifs.joining import join_slices
from pxdask.ifs.products import (
    LinesStage,
    paint_products,
    spectra_of_bins,
    spectra_of_pixels,
    spectral_products,
)
from pxdask.ifs.smoothing import wave_margin
from pxdask.ifs.spatial import IfsStage
from pxdask.ifs.spectral import corrected, match_spectra
from pxdask.ifs.stage import SpectraStage
from pxdask.ifs.synthetic import band_fluxes

__all__ = [
    "IfsStage",
    "LinesStage",
    "SpectraStage",
    "band_fluxes",
    "corrected",
    "join_slices",
    "match_spectra",
    "paint_products",
    "spectra_of_bins",
    "spectra_of_pixels",
    "spectral_products",
    "wave_margin",
]
