"""Stellar population synthesis: parameters, populations, photometry, spectra, model sets."""

from pxdask.sps.engine import PhotometryEngine
from pxdask.sps.model_grid import at_redshift, make_model_grid
from pxdask.sps.model_set import make_model_set
from pxdask.sps.parameters import PARAMETERS, Parameter, free_parameters, parameter
from pxdask.sps.priors import resolve_priors
from pxdask.sps.spectra_set import make_spectra_set, photometry_of
from pxdask.sps.spectrum import SpectrumEngine
from pxdask.sps.synthetic import synthetic_ssp

__all__ = [
    "PARAMETERS",
    "Parameter",
    "PhotometryEngine",
    "SpectrumEngine",
    "at_redshift",
    "free_parameters",
    "make_model_grid",
    "make_model_set",
    "make_spectra_set",
    "parameter",
    "photometry_of",
    "resolve_priors",
    "synthetic_ssp",
]
