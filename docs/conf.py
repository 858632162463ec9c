"""Settings of the documentation: ``sphinx-build -W -b html -c docs . docs/_build``.

The sources' root is the repository, so that links between pages, notebooks and files are the same
there, on GitHub and here. Nothing is looked up in the network, and no notebook is executed.
"""
# ruff: noqa: INP001  read by sphinx, not a package

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

import pxdask

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "pxdask"
author = "The pxdask developers"
copyright = "2026, the pxdask developers"  # noqa: A001  the name that sphinx reads
release = version = pxdask.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc"]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "notebooks/*.ipynb",
    "deploy/*.md",
    "benchmarks/RESULTS.md",
    "CHANGES.md",
]
exclude_patterns = ["docs/_build", "**/.ipynb_checkpoints"]

myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "off"  # a test executes them
suppress_warnings = [
    "myst.header",  # notebooks begin where they like
    "misc.highlighting_failure",  # and have lines that begin with !
]

autodoc_typehints = "none"  # numpydoc's docstrings say more: shapes, units
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "furo"
html_title = f"pxdask {release}"
html_show_sourcelink = False


def _signature(
    _app: Sphinx, _what: str, _name: str, documented: object, *_rest: object
) -> tuple[str, str] | None:
    """Return a short signature for settings, whose fields fill a page of their own."""
    is_settings = isinstance(documented, type) and issubclass(documented, BaseModel)
    return ("(**settings)", "") if is_settings else None


def _is_left_out(_app: Sphinx, _what: str, name: str, *_rest: object) -> bool | None:
    """Return whether a member is pydantic's own."""
    return True if name == "model_config" else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell sphinx how settings are shown."""
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _is_left_out)
    return {"parallel_read_safe": True}
