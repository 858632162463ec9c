"""FSPS through python-fsps: extraction of SSP products, exact spectra, and a look at its data."""

from pxdask.sps.fsps.exact import FspsEngine, FspsModels
from pxdask.sps.fsps.extract import IMFS, extract_ssp, product_settings
from pxdask.sps.fsps.home import Finding, Libraries, doctor, installed_libraries, missing_files

__all__ = [
    "IMFS",
    "Finding",
    "FspsEngine",
    "FspsModels",
    "Libraries",
    "doctor",
    "extract_ssp",
    "installed_libraries",
    "missing_files",
    "product_settings",
]
