"""A run with samples and with failures, and the report of it."""

import pytest

import pxdask
from pxdask.survey.looking.reporting import write_report
from tests.survey.mini import make_survey


@pytest.fixture(scope="package")
def run(tmp_path_factory):
    """Two galaxies done, with samples; one broken; one that nothing was done for."""
    root = tmp_path_factory.mktemp("reported-run")
    fit = {"block_size": 4, "n_samples": 40, "integrated": True}
    catalog, config = make_survey(root, 4, fit=fit)
    (root / "images" / "g02" / "r.fits").write_bytes(b"junk")
    options = {"root": root, "serial": True, "progress": False, "check": False}
    names = ("g00", "g01", "g02")
    return pxdask.submit(catalog, config, root / "run", galaxies=names, **options)


@pytest.fixture(scope="package")
def report(run, tmp_path_factory):
    """Its report."""
    return write_report(run, tmp_path_factory.mktemp("report"), workers=1)
