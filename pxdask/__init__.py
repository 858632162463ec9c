"""Spatially resolved SED fitting of galaxies, from one galaxy to a survey.

>>> import pxdask
>>> run = pxdask.submit("catalog.ecsv", "survey.yaml", "my-run")  # doctest: +SKIP
>>> run.maps("galaxy-1")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pxdask.binning import bin_images
    from pxdask.cluster import connect
    from pxdask.core.catalogs import CatalogConfig
    from pxdask.core.config import SurveyConfig
    from pxdask.core.fits import FitConfig
    from pxdask.core.models import ModelConfig
    from pxdask.io.catalog import read_catalog
    from pxdask.survey.looking.viewing import view
    from pxdask.survey.mock import make_mocks
    from pxdask.survey.posterior import Posterior
    from pxdask.survey.results import Run, open_run
    from pxdask.survey.seds.catalog_fit import CatalogRun, fit_catalog, open_catalog
    from pxdask.survey.seds.fit import fit
    from pxdask.survey.submit import resume, submit

_HOMES = {
    "CatalogConfig": "pxdask.core.catalogs",
    "CatalogRun": "pxdask.survey.seds.catalog_fit",
    "FitConfig": "pxdask.core.fits",
    "ModelConfig": "pxdask.core.models",
    "Posterior": "pxdask.survey.posterior",
    "Run": "pxdask.survey.results",
    "SurveyConfig": "pxdask.core.config",
    "bin_images": "pxdask.binning",
    "connect": "pxdask.cluster",
    "fit": "pxdask.survey.seds.fit",
    "fit_catalog": "pxdask.survey.seds.catalog_fit",
    "make_mocks": "pxdask.survey.mock",
    "open_catalog": "pxdask.survey.seds.catalog_fit",
    "open_run": "pxdask.survey.results",
    "read_catalog": "pxdask.io.catalog",
    "resume": "pxdask.survey.submit",
    "submit": "pxdask.survey.submit",
    "view": "pxdask.survey.looking.viewing",
}

__all__ = [
    "CatalogConfig",
    "CatalogRun",
    "FitConfig",
    "ModelConfig",
    "Posterior",
    "Run",
    "SurveyConfig",
    "bin_images",
    "connect",
    "fit",
    "fit_catalog",
    "make_mocks",
    "open_catalog",
    "open_run",
    "read_catalog",
    "resume",
    "submit",
    "view",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import a public name on its first use, so that ``import pxdask`` is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pxdask' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
