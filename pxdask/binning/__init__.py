"""Pixels into bins: maps of bins, their summed SEDs, and the pipeline stage that makes both."""

from pxdask.binning.annuli import annulus_bins
from pxdask.binning.blocks import hexagon_bins, pixel_bins, square_bins
from pxdask.binning.compat import PixedfitInputs, pixedfit_bins, pixedfit_inputs
from pxdask.binning.given import given_bins
from pxdask.binning.images import bin_images
from pxdask.binning.methods import bin_pixels
from pxdask.binning.quality import BinQuality, bin_quality
from pxdask.binning.spectra import BinSpectra, bin_spectra
from pxdask.binning.stage import BinStage
from pxdask.binning.sums import BinSums, bin_sums
from pxdask.binning.voronoi import voronoi_bins

__all__ = [
    "BinQuality",
    "BinSpectra",
    "BinStage",
    "BinSums",
    "PixedfitInputs",
    "annulus_bins",
    "bin_images",
    "bin_pixels",
    "bin_quality",
    "bin_spectra",
    "bin_sums",
    "given_bins",
    "hexagon_bins",
    "pixedfit_bins",
    "pixedfit_inputs",
    "pixel_bins",
    "square_bins",
    "voronoi_bins",
]
