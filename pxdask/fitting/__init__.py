"""Posteriors of the bins' SEDs, and maps of them."""

from pxdask.fitting.fitter import Fitter, Prepared
from pxdask.fitting.integrated import IntegratedStage
from pxdask.fitting.maps import MapStage
from pxdask.fitting.npe import NpeFitter
from pxdask.fitting.rdsps import RdspsFitter
from pxdask.fitting.seds import Seds
from pxdask.fitting.stage import FitStage, fitter_of, join_blocks

__all__ = [
    "FitStage",
    "Fitter",
    "IntegratedStage",
    "MapStage",
    "NpeFitter",
    "Prepared",
    "RdspsFitter",
    "Seds",
    "fitter_of",
    "join_blocks",
]
