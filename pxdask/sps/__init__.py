"""Stellar population synthesis: parameters, populations, photometry, model sets."""

from pxdask.sps.engine import PhotometryEngine
from pxdask.sps.model_set import make_model_set
from pxdask.sps.parameters import PARAMETERS, Parameter, free_parameters, resolve_priors
from pxdask.sps.synthetic import synthetic_ssp

__all__ = [
    "PARAMETERS",
    "Parameter",
    "PhotometryEngine",
    "free_parameters",
    "make_model_set",
    "resolve_priors",
    "synthetic_ssp",
]
