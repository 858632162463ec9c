"""Twelve bands of a mock galaxy, FUV to W2, to one PSF and 131 x 131 pixels of 1.5 arcsec.

Baseline: piXedfit's 7.9 CPU seconds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from astropy.table import Table

from benchmarks.harness import Row, cpu_seconds, row
from pxdask.core.config import SurveyConfig
from pxdask.images import footprint
from pxdask.io.catalog import read_catalog, rows
from pxdask.io.raw import read_raw
from pxdask.survey.inspect import inspect_galaxy
from pxdask.survey.mock import make_mocks
from pxdask.survey.pipeline import Pipeline
from pxdask.survey.products import store_products

CATALOGS = Path(__file__).parent.parent / "catalogs"
STAMP = 131 * 1.5


def measure() -> list[Row]:
    """Time the image stages of one galaxy, reading included."""
    config = SurveyConfig.load(CATALOGS / "demo.yaml")
    images = config.images.model_copy(update={"stamp_size": STAMP})
    config = config.model_copy(update={"images": images})
    with tempfile.TemporaryDirectory() as folder:
        catalog = read_catalog(Table(read_catalog(CATALOGS / "demo.ecsv")[:1]))
        make_mocks(catalog, folder)
        galaxy = next(rows(catalog))
        inputs = inspect_galaxy(galaxy, config, root=folder)
        products = store_products(
            Path(folder) / "run", config.models, [band.filter for band in inputs.bands]
        )
        pipeline = Pipeline(inputs, config, products)

        def process() -> None:
            for band in inputs.bands:
                header = inputs.headers[band.name]
                part = footprint(header, inputs.grid, margin_pix=pipeline.margin_pix(band.name))
                raw = read_raw(band, header, footprint=part)
                pipeline.image_stage(band.name).run(galaxy, raw=raw)

        return [row("images_131_cpu_s", cpu_seconds(process), "s", baseline=7.9, goal="<= 7.9")]
