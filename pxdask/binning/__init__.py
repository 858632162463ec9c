"""Pixels into bins: maps of bins, their summed SEDs, and the pipeline stage that makes both."""

from pxdask.binning.compat import PixedfitInputs, pixedfit_bins, pixedfit_inputs
from pxdask.binning.stage import BinStage
from pxdask.binning.sums import BinSums, bin_sums

__all__ = ["BinStage", "BinSums", "PixedfitInputs", "bin_sums", "pixedfit_bins", "pixedfit_inputs"]
