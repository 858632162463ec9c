"""Commands of ``pxdask ifs``: show, plot, maps, export."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer evaluates annotations
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pxdask.io.ifs import IfsHeader

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Integral-field cubes.",
)
out = Console()


RunFolder = Annotated[str, typer.Argument(help="folder of the run")]
Galaxy = Annotated[str, typer.Argument(help="identifier of the galaxy")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace the file if it is there")]


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="FITS file of a cube")],
    kind: Annotated[
        str, typer.Option(help="auto, califa, manga, muse, sami, nirspec or generic")
    ] = "auto",
) -> None:
    """Show how a cube is read: kind, shape, wavelengths, LSF, PSF, unit, extinction."""
    from pydantic import ValidationError  # noqa: PLC0415

    from pxdask.core.errors import ConfigError  # noqa: PLC0415
    from pxdask.core.ifs import IfsConfig  # noqa: PLC0415
    from pxdask.io.ifs import read_ifs_header  # noqa: PLC0415

    try:
        config = IfsConfig.model_validate({"path": str(file), "kind": kind})
    except ValidationError as error:
        raise ConfigError(f"kind is {kind!r}; {error.errors()[0]['msg']}") from error
    for name, text in _facts(read_ifs_header(config)):
        out.print(f"{name:<12}{text}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def plot(
    store: RunFolder,
    galaxy: Galaxy,
    number: Annotated[int, typer.Argument(help="number of the bin, from 0", min=0)],
    file: Annotated[Path, typer.Argument(help="PNG file to write")],
) -> None:
    """Draw a bin's photometry and spectrum, with the model that fits best."""
    from pxdask.core.rows import redshift_of  # noqa: PLC0415
    from pxdask.plots.spectra import write_spectrum_figure  # noqa: PLC0415
    from pxdask.survey.results import open_run  # noqa: PLC0415

    run = open_run(store)
    bins = run.dataset(galaxy, "bins")
    redshift = redshift_of(run.row(galaxy))
    write_spectrum_figure(
        file,
        bins,
        number=number,
        redshift=redshift,
        title=f"{galaxy}, bin {number}",
        fit=run.dataset(galaxy, "fit"),
    )
    out.print(str(file), markup=False, highlight=False, soft_wrap=True)


@app.command()
def maps(
    store: RunFolder,
    galaxy: Galaxy,
    file: Annotated[Path, typer.Argument(help="FITS file to write")],
    *,
    overwrite: Overwrite = False,
) -> None:
    """Write maps of emission lines, Dn4000, dust and SFR by H alpha as a FITS file."""
    from pxdask.core.files import refuse_existing  # noqa: PLC0415
    from pxdask.io.export import write_line_maps  # noqa: PLC0415
    from pxdask.survey.results import open_run  # noqa: PLC0415

    refuse_existing(file, overwrite=overwrite)
    write_line_maps(file, open_run(store).line_maps(galaxy))
    out.print(str(file), markup=False, highlight=False, soft_wrap=True)


@app.command()
def export(
    store: RunFolder,
    galaxy: Galaxy,
    file: Annotated[Path, typer.Argument(help="FITS file to write")],
    *,
    overwrite: Overwrite = False,
) -> None:
    """Write images and matched spectra in piXedfit's layout (corr_specphoto)."""
    from pxdask.core.files import refuse_existing  # noqa: PLC0415
    from pxdask.survey.exchange.exporting import write_specphoto  # noqa: PLC0415
    from pxdask.survey.results import open_run  # noqa: PLC0415

    refuse_existing(file, overwrite=overwrite)
    write_specphoto(open_run(store), galaxy, file)
    out.print(str(file), markup=False, highlight=False, soft_wrap=True)


def _facts(header: IfsHeader) -> list[tuple[str, str]]:
    """Return what a user wants to know of a cube, each with its name."""
    n_wave, ny, nx = header.shape
    medium = "air in the file, converted to vacuum" if header.air_converted else "vacuum"
    return [
        ("kind", header.kind),
        ("shape", f"{n_wave} wavelengths, {ny} x {nx} pixels"),
        ("wavelength", f"{_span(header.wave, '.6g')} Angstrom, {medium}"),
        ("LSF", f"FWHM {_span(header.lsf_fwhm, '.3g')} Angstrom"),
        ("PSF", f"FWHM {_span(header.psf_fwhm, '.3g')} arcsec; {header.psf}"),
        ("unit", f"{header.bunit}; one is {_span(header.factor, '.4g')} of ours"),
        ("extinction", _extinction(header)),
        *(("note", note) for note in header.notes),
    ]


def _span(values: NDArray[np.float64], form: str) -> str:
    """Return the least and the largest of values, or the one that all are."""
    low, high = f"{values.min():{form}}", f"{values.max():{form}}"
    return low if low == high else f"{low} to {high}"


def _extinction(header: IfsHeader) -> str:
    """Return what is to be done about the Galaxy's dust."""
    if not header.needs_extinction:
        return "corrected already"
    if header.ebv is None:
        return "to be corrected; the file has no E(B-V), the catalogue must"
    return f"to be corrected; E(B-V) {header.ebv:.4f} mag by the file"
