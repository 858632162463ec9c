"""Mock galaxies with known truth, observed by named surveys."""

from pxdask.simulate.galaxy import MockGalaxy
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
    "NEARBY",
    "SURVEYS",
    "TRUTH",
    "TRUTH_BINS",
    "TRUTH_GRID",
    "BandSpec",
    "MockGalaxy",
    "Observation",
    "SurveySpec",
    "observe",
    "truth_maps",
    "truth_of_bins",
    "truth_on_grid",
]
