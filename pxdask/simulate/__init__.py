"""Mock galaxies with known truth, observed by named surveys."""

from pxdask.simulate.galaxy import MOCK_UNITS, MockGalaxy
from pxdask.simulate.ifs import IfsObservation, SmoothMismatch, observe_ifs, smooth_mismatch
from pxdask.simulate.ifs_files import extensions
from pxdask.simulate.ifus import IFUS, IfsSpec
from pxdask.simulate.observation import Observation, observe
from pxdask.simulate.surveys import NEARBY, SURVEYS, BandSpec, SurveySpec
from pxdask.simulate.truth import (
    TRUTH,
    TRUTH_BINS,
    TRUTH_GRID,
    truth_maps,
    truth_of_bins,
    truth_on_grid,
)

__all__ = [
    "IFUS",
    "MOCK_UNITS",
    "NEARBY",
    "SURVEYS",
    "TRUTH",
    "TRUTH_BINS",
    "TRUTH_GRID",
    "BandSpec",
    "IfsObservation",
    "IfsSpec",
    "MockGalaxy",
    "Observation",
    "SmoothMismatch",
    "SurveySpec",
    "extensions",
    "observe",
    "observe_ifs",
    "smooth_mismatch",
    "truth_maps",
    "truth_of_bins",
    "truth_on_grid",
]
