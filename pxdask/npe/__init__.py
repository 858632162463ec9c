"""Amortised posteriors: a network is trained once, and answers for every SED."""

from pxdask.npe.mocks import Mocks, make_mocks
from pxdask.npe.network import Draws, Network
from pxdask.npe.noise import NoiseModel, broad_noise, measured_noise
from pxdask.npe.training import Progress, train

__all__ = [
    "Draws",
    "Mocks",
    "Network",
    "NoiseModel",
    "Progress",
    "broad_noise",
    "make_mocks",
    "measured_noise",
    "train",
]
