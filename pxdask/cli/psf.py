"""Commands of ``pxdask psf``: check, kernel, stars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.images.epsf import StarList
    from pxdask.images.psf import KernelMethod, Psf

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="PSFs and the kernels that match them.",
)
out = Console()

_FORMS = (
    "FITS file; SURVEY:BAND of a known survey (wise:w2); or SHAPE:FWHM in arcsec (gaussian:3.5,"
    " double_gaussian:1.5, moffat:0.8:3 with beta 3)"
)
Source = Annotated[str, typer.Argument(help=f"PSF of the band: {_FORMS}")]
Target = Annotated[str, typer.Argument(help="PSF to match it to, in the same forms")]
PixelScale = Annotated[
    float, typer.Option("--pixel-scale", help="side of the band's pixels [arcsec]", min=1e-6)
]
Method = Annotated[str, typer.Option(help="auto, window or regularised")]
Regularisation = Annotated[float | None, typer.Option(help="of method regularised [default: 1e-4]")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace the file if it is there")]


@app.command()
def check(
    source: Source,
    target: Target,
    *,
    pixel_scale: PixelScale,
    kernel: Annotated[
        Path | None, typer.Option(help="FITS file of a kernel to test [default: make one]")
    ] = None,
    kernels: Annotated[
        Path | None,
        typer.Option(help="folder of kernels named Kernel_HiRes_A_to_B.fits to find one in"),
    ] = None,
    method: Method = "auto",
    regularisation: Regularisation = None,
    figure: Annotated[Path | None, typer.Option("--out", help="PNG file to write")] = None,
) -> None:
    """Test how well a kernel turns one PSF into another: figures, and a picture."""
    from pxdask.images.kernel_check import check_kernel  # noqa: PLC0415
    from pxdask.images.psf_images import kernel_on_pixels  # noqa: PLC0415
    from pxdask.io.kernels import find_kernel  # noqa: PLC0415
    from pxdask.plots.kernels import write_kernel_figure  # noqa: PLC0415

    own, wanted = _psf(source), _psf(target)
    if kernels is not None:
        kernel = find_kernel(kernels, source, target)
        _say(str(kernel))
    if kernel is None:
        used = _kernel(own, wanted, pixel_scale, method, regularisation)
    else:
        given, scale = _file(kernel)
        used = kernel_on_pixels(given, kernel_scale=scale, pixel_scale=pixel_scale)
    found = check_kernel(used, source=own, target=wanted, pixel_scale=pixel_scale)
    _report(found)
    if figure is not None:
        write_kernel_figure(figure, found, title=f"{source} to {target}")
        _say(str(figure))


@app.command()
def kernel(
    source: Source,
    target: Target,
    *,
    pixel_scale: PixelScale,
    file: Annotated[Path, typer.Option("--out", help="FITS file to write")],
    method: Method = "auto",
    regularisation: Regularisation = None,
    overwrite: Overwrite = False,
) -> None:
    """Make the kernel that turns one PSF into another."""
    from pxdask.core.errors import ConfigError  # noqa: PLC0415
    from pxdask.core.files import refuse_existing  # noqa: PLC0415
    from pxdask.images.kernel_check import check_kernel  # noqa: PLC0415
    from pxdask.io.kernels import write_psf_file  # noqa: PLC0415

    refuse_existing(file, overwrite=overwrite)
    own, wanted = _psf(source), _psf(target)
    made = _kernel(own, wanted, pixel_scale, method, regularisation)
    if made is None:
        raise ConfigError(
            f"{source} needs no kernel to become {target}: their widths are {own.width:.4g} and"
            f" {wanted.width:.4g} arcsec"
        )
    write_psf_file(file, made, pixel_scale=pixel_scale, comment=f"{source} to {target}")
    _report(check_kernel(made, source=own, target=wanted, pixel_scale=pixel_scale))
    _say(f"{file}: {made.shape[0]} x {made.shape[1]} pixels of {pixel_scale} arcsec")


@app.command()
def stars(
    image: Annotated[Path, typer.Argument(help="FITS image with a WCS")],
    *,
    file: Annotated[Path, typer.Option("--out", help="FITS file for the PSF")],
    size: Annotated[int, typer.Option(help="side of the PSF, odd [pix]", min=5)] = 51,
    hdu: Annotated[str, typer.Option(help="number or name of the image's HDU")] = "0",
    star_list: Annotated[
        Path | None,
        typer.Option("--list", help="table of stars: x, y (from 0) or ra, dec [deg]"),
    ] = None,
    saturation: Annotated[
        float | None, typer.Option(help="pixel value at which stars are saturated")
    ] = None,
    min_snr: Annotated[float, typer.Option(help="least S/N of a star", min=1)] = 50.0,
    oversampling: Annotated[int, typer.Option(help="grid points per pixel", min=1)] = 4,
    overwrite: Overwrite = False,
) -> None:
    """Measure the PSF of an image on its stars."""
    from pxdask.core.files import refuse_existing  # noqa: PLC0415
    from pxdask.images.epsf import empirical_psf, find_stars  # noqa: PLC0415
    from pxdask.images.grid import Grid  # noqa: PLC0415
    from pxdask.io.fits import read_cutout, read_header  # noqa: PLC0415
    from pxdask.io.kernels import write_psf_file  # noqa: PLC0415

    refuse_existing(file, overwrite=overwrite)
    header = read_header(image, int(hdu) if hdu.isdigit() else hdu)
    ny, nx = header.shape
    pixels = read_cutout(image, header.hdu, rows=slice(0, ny), columns=slice(0, nx))
    if star_list is None:
        found = find_stars(pixels, size=size, saturation=saturation, min_snr=min_snr)
    else:
        found = _read_stars(star_list, header.wcs)
    scale = Grid(header.wcs, header.shape).pixel_scale
    made = empirical_psf(pixels, found, pixel_scale=scale, size=size, oversampling=oversampling)
    write_psf_file(
        file,
        made.psf.on_pixels(scale),
        pixel_scale=scale,
        comment=f"from {made.stars.x.size} stars of {image.name}",
    )
    _say(
        f"{made.stars.x.size} stars, FWHM {made.psf.width:.4g} arcsec,"
        f" stars differ by {100 * made.scatter:.2g} % of the peak"
    )
    _say(str(file))


def _say(text: str) -> None:
    """Print a line as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def _report(found: xr.Dataset) -> None:
    """Print the figures of a test."""
    widths = (float(found[f"fwhm_{name}"]) for name in ("before", "after", "target"))
    _say("FWHM before {:.4g}, after {:.4g}, target {:.4g} arcsec (with the pixel)".format(*widths))
    for name in ("profile_residual", "pixel_residual", "curve_residual"):
        _say(f"{found[name].attrs['long_name']}: {100 * float(found[name]):.3g} %")
    for name in ("absolute_residual", "energy_residual", "flux", "negative", "noise_factor"):
        _say(f"{found[name].attrs['long_name']}: {float(found[name]):.6g}")


def _psf(text: str) -> Psf:
    """Return the PSF that an argument describes."""
    from typing import get_args  # noqa: PLC0415

    from pxdask.core.errors import ConfigError  # noqa: PLC0415
    from pxdask.images.psf import Psf  # noqa: PLC0415
    from pxdask.images.psf_defaults import default_psf  # noqa: PLC0415
    from pxdask.images.psf_shapes import Shape  # noqa: PLC0415

    if Path(text).exists() or ".fits" in text:
        image, scale = _file(Path(text))
        return Psf(image=image, pixel_scale=scale)
    first, _, rest = text.partition(":")
    if first not in get_args(Shape):
        if not rest:
            raise ConfigError(f"{text!r} is no PSF: give a {_FORMS}")
        return default_psf(first, rest)
    try:
        numbers = [float(part) for part in rest.split(":")]
    except ValueError as error:
        raise ConfigError(f"{text!r} is no PSF: give a {_FORMS}") from error
    if len(numbers) > 1 + (first == "moffat"):
        raise ConfigError(f"{text!r} has too many numbers: give a {_FORMS}")
    shapes: dict[str, Shape] = {name: name for name in get_args(Shape)}
    beta = numbers[1] if len(numbers) > 1 else None
    return Psf(fwhm=numbers[0], shape=shapes[first], beta=beta)


def _file(path: Path) -> tuple[NDArray[np.float64], float]:
    """Return a PSF or kernel of a file and the side of its pixels [arcsec]."""
    from pxdask.core.errors import DataError  # noqa: PLC0415
    from pxdask.io.kernels import read_psf_file  # noqa: PLC0415

    found = read_psf_file(path)
    if found.pixel_scale is None:
        raise DataError(
            f"the header of {path} does not tell the side of its pixels: add PIXSCALE [arcsec]"
        )
    return found.image, found.pixel_scale


def _kernel(
    own: Psf, wanted: Psf, pixel_scale: float, method: str, regularisation: float | None
) -> NDArray[np.float64] | None:
    """Return the kernel that a method makes."""
    from typing import get_args  # noqa: PLC0415

    from pxdask.core.errors import ConfigError  # noqa: PLC0415
    from pxdask.images.psf import KernelMethod, matching_kernel  # noqa: PLC0415
    from pxdask.images.psf_kernels import REGULARISATION  # noqa: PLC0415

    methods: dict[str, KernelMethod] = {name: name for name in get_args(KernelMethod)}
    if method not in methods:
        raise ConfigError(f"no method {method!r}; there are {', '.join(methods)}")
    return matching_kernel(
        own,
        wanted,
        pixel_scale=pixel_scale,
        method=methods[method],
        regularisation=REGULARISATION if regularisation is None else regularisation,
    )


def _read_stars(path: Path, wcs: str) -> StarList:
    """Return a user's list of stars in pixels."""
    import numpy as np  # noqa: PLC0415
    from astropy.table import Table  # noqa: PLC0415
    from astropy.wcs import WCS  # noqa: PLC0415

    from pxdask.core.errors import ConfigError, DataError  # noqa: PLC0415
    from pxdask.images.epsf import StarList  # noqa: PLC0415

    try:
        table = Table.read(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the stars in {path}: {error}") from error
    if {"x", "y"} <= set(table.colnames):
        x, y = (np.asarray(table[name], dtype=np.float64) for name in ("x", "y"))
    elif {"ra", "dec"} <= set(table.colnames):
        sky = (np.asarray(table[name], dtype=np.float64) for name in ("ra", "dec"))
        x, y = WCS(wcs).all_world2pix(*sky, 0)
    else:
        raise ConfigError(
            f"{path} has the columns {', '.join(table.colnames)}; wanted are x and y, or ra and dec"
        )
    return StarList(x, y, np.full(x.shape, np.nan))
