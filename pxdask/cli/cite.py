"""The command ``pxdask cite``: what a run stands on, as BibTeX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pxdask.survey.results import Run
    from pxdask.survey.seds.catalog_fit import CatalogRun


def cite(
    store: Annotated[str, typer.Argument(help="folder of a run, of `fit` too, or s3://bucket/run")],
    *,
    text: Annotated[bool, typer.Option("--text", help="plain text, with what each is for")] = False,
) -> None:
    """Print BibTeX of what a run used: software, methods, surveys."""
    from pxdask.survey.exchange.citing import as_text, bibliography  # noqa: PLC0415  load what is needed
    from pxdask.survey.exchange.references import bibtex  # noqa: PLC0415

    found = bibliography(_run(store))
    typer.echo(as_text(found) if text else bibtex(found))


def _run(store: str) -> Run | CatalogRun:
    """Return the run in a folder, of images or of a table of photometry."""
    from pxdask.core.errors import ConfigError  # noqa: PLC0415
    from pxdask.survey.results import open_run  # noqa: PLC0415
    from pxdask.survey.seds.catalog_fit import open_catalog  # noqa: PLC0415

    try:
        return open_run(store)
    except ConfigError:
        try:
            return open_catalog(store)
        except ConfigError:
            pass
        raise
