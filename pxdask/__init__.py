"""Spatially resolved SED fitting of galaxies, from one galaxy to a survey.

>>> import pxdask
>>> run = pxdask.submit("catalog.ecsv", "survey.yaml", "my-run")  # doctest: +SKIP
>>> run.maps("galaxy-1")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pxdask.cluster import connect
    from pxdask.core.config import SurveyConfig
    from pxdask.io.catalog import read_catalog
    from pxdask.survey.mock import make_mocks
    from pxdask.survey.results import Run, open_run
    from pxdask.survey.submit import resume, submit

_HOMES = {
    "SurveyConfig": "pxdask.core.config",
    "Run": "pxdask.survey.results",
    "connect": "pxdask.cluster",
    "open_run": "pxdask.survey.results",
    "read_catalog": "pxdask.io.catalog",
    "resume": "pxdask.survey.submit",
    "make_mocks": "pxdask.survey.mock",
    "submit": "pxdask.survey.submit",
}

__all__ = [
    "Run",
    "SurveyConfig",
    "connect",
    "make_mocks",
    "open_run",
    "read_catalog",
    "resume",
    "submit",
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
