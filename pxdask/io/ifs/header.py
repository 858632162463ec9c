"""What is known of a cube before its pixels are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.io.fits import opened_hdus, wcs_cards
from pxdask.io.ifs import califa, generic, manga, muse, nirspec, sami
from pxdask.io.ifs.axes import celestial, require_wave
from pxdask.io.ifs.layout import CubeFile, Layout, widths
from pxdask.io.ifs.units import flux_factor
from pxdask.kernels.spectra import air_to_vacuum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from astropy.wcs import WCS
    from numpy.typing import NDArray

    from pxdask.core.ifs import IfsConfig

    Floats = NDArray[np.float64]

LAYOUTS: Mapping[str, Callable[[CubeFile], Layout]] = {
    "manga": manga.layout,
    "califa": califa.layout,
    "muse": muse.layout,
    "sami": sami.layout,
    "nirspec": nirspec.layout,
    "generic": generic.layout,
}
"""How cubes of each kind are read."""

_SIGNS: Mapping[str, Callable[[CubeFile], bool]] = {
    "nirspec": nirspec.is_nirspec,
    "manga": manga.is_manga,
    "muse": muse.is_muse,
    "sami": sami.is_sami,
    "califa": califa.is_califa,
}
"""How a file's kind is told, in the order in which they are asked."""

RANGES: Mapping[str, tuple[float, float]] = {
    "manga": (3000.0, 11000.0),
    "califa": (3000.0, 8500.0),
    "muse": (4000.0, 10000.0),
    "sami": (3000.0, 8500.0),
    "nirspec": (5000.0, 60000.0),
    "generic": (900.0, 1e7),
}
"""Wavelengths that a cube of each kind can have [Angstrom]; beyond, a unit must be wrong."""


@dataclass(frozen=True, slots=True)
class IfsHeader:
    """What is known of a cube before its pixels are read.

    Attributes
    ----------
    path : str
        The file.
    kind : str
        Survey or instrument, or ``generic``.
    shape : tuple of int
        (n_wave, ny, nx), of the wavelengths that are used.
    wcs : str
        Celestial coordinates of the pixels as FITS cards.
    wave : (n_wave,) float64
        Wavelengths in vacuum, observed frame, increasing [Angstrom].
    lsf_fwhm : (n_wave,) float64
        Width of the line spread function [Angstrom].
    psf_fwhm : (n_wave,) float64
        Width of the point spread function [arcsec].
    ebv : float or None
        E(B-V) that is to be corrected for [mag]: 0 if nothing is, None if something is but the
        file does not state it.
    needs_extinction : bool
        Whether the Milky Way's dust is still to be corrected for.
    noise_area : float
        Pixels over which the noise is correlated [pix].
    bunit : str
        Unit of the file.
    air_converted : bool
        Whether the file's wavelengths are in air.
    psf : str
        Where the width of the PSF is from.
    notes : tuple of str
        What a user should know of how the file was read.
    layout : Layout
        HDUs, and what their values mean.
    factor : (n_wave,) float64
        What one unit of the file is worth [1e-17 erg s-1 cm-2 Angstrom-1 per pixel].
    first : int
        Number of the file's slice that is the first here.
    """

    path: str
    kind: str
    shape: tuple[int, int, int]
    wcs: str
    wave: Floats
    lsf_fwhm: Floats
    psf_fwhm: Floats
    ebv: float | None
    needs_extinction: bool
    noise_area: float
    bunit: str
    air_converted: bool
    psf: str
    notes: tuple[str, ...]
    layout: Layout
    factor: Floats
    first: int = 0


def read_ifs_header(config: IfsConfig) -> IfsHeader:
    """Return what a cube's file says of itself; no slice is read.

    Parameters
    ----------
    config : IfsConfig
        Its path, the template filled in; and what the user knows better than the file.

    Returns
    -------
    header : IfsHeader

    Raises
    ------
    DataError
        If the file is absent, cut short or not of its kind; if its flux has no celestial
        coordinates, or no axis of wavelengths in a unit of length and in the range of its kind,
        or is not a flux density; if none of its wavelengths is in ``wave_range``.
    StoreError
        If the file system fails.
    """
    with opened_hdus(config.path) as hdus:
        cube = CubeFile(config.path, hdus)
        kind = _kind(cube) if config.kind == "auto" else config.kind
        layout = _adapted(LAYOUTS[kind](cube), config)
        _require_planes(cube, layout)
        require_wave(cube, layout.wave, n_wave=cube.shape(layout.flux)[0], between=RANGES[kind])
        wcs = celestial(cube, layout.flux)
        stated = str(
            cube.header(layout.flux).get("BUNIT") or cube.header(0).get("BUNIT") or ""
        ).strip()
        shape = cube.shape(layout.flux)
    header = _of(config.path, kind, layout, wcs, stated)
    return _used(replace(header, shape=(shape[0], shape[1], shape[2])), config.wave_range)


def _kind(cube: CubeFile) -> str:
    """Return the kind of a file by its HDUs."""
    return next((kind for kind, is_one in _SIGNS.items() if is_one(cube)), "generic")


def _adapted(layout: Layout, config: IfsConfig) -> Layout:
    """Return a layout with what the user says in place of what the file does."""
    wave, notes = layout.wave, list(layout.notes)
    if config.lsf_fwhm is not None:
        layout = replace(layout, lsf_fwhm=widths(config.lsf_fwhm, wave))
        notes = [note for note in notes if not note.startswith("LSF")]
        notes.append(f"LSF: {config.lsf_fwhm:g} Angstrom, as configured")
    if config.psf_fwhm is not None:
        psf = f"{config.psf_fwhm:g} arcsec, as configured"
        layout = replace(layout, psf_fwhm=widths(config.psf_fwhm, wave), psf=psf)
    if config.air is not None:
        layout = replace(layout, air=config.air)
    if config.extinction is not None:
        layout = replace(layout, needs_extinction=config.extinction)
    if config.noise_area is not None:
        layout = replace(layout, noise_area=max(1.0, config.noise_area))
        notes = [note for note in notes if not note.startswith("noise")]
    return replace(layout, notes=tuple(notes))


def _require_planes(cube: CubeFile, layout: Layout) -> None:
    """Raise `DataError` unless flux, error and mask are cubes of one shape, all in the file."""
    shape = cube.shape(layout.flux)
    for index in (layout.flux, layout.error, layout.mask):
        if index is None:
            continue
        if len(shape) != 3 or cube.shape(index) != shape or min(shape) < 1:
            raise DataError(
                f"{cube.path}: HDU {cube.names[index]} has shape {cube.shape(index)}, the flux "
                f"{shape}; wanted one shape (wavelength, y, x)"
            )
        info = cube.hdus[index].fileinfo() or {}
        held = getattr(info.get("file"), "size", 0)
        promised = int(info.get("datLoc", 0)) + int(cube.hdus[index].size)
        if held and promised > held and not hasattr(cube.hdus[index], "compressed_data"):
            raise DataError(
                f"{cube.path} is truncated: HDU {cube.names[index]} ends at byte {promised} by its "
                f"header, but the file holds {held} bytes; copy it again"
            )


def _of(path: str, kind: str, layout: Layout, wcs: WCS, stated: str) -> IfsHeader:
    """Return the header of all of a file's wavelengths."""
    wave = air_to_vacuum(layout.wave) if layout.air else layout.wave
    area = float(wcs.proj_plane_pixel_area().to_value("sr"))
    bunit = stated or layout.unit
    notes = list(layout.notes)
    if layout.air:
        notes.insert(0, "wavelengths were in air and were converted to vacuum (Ciddor 1996)")
    if not stated and bunit:
        notes.append(f"BUNIT is absent: the survey's {bunit} is used")
    return IfsHeader(
        path=path,
        kind=kind,
        shape=(wave.size, 0, 0),
        wcs=wcs_cards(wcs),
        wave=wave,
        lsf_fwhm=layout.lsf_fwhm,
        psf_fwhm=layout.psf_fwhm,
        ebv=layout.ebv if layout.needs_extinction else 0.0,
        needs_extinction=layout.needs_extinction,
        noise_area=layout.noise_area,
        bunit=bunit,
        air_converted=layout.air,
        psf=layout.psf,
        notes=tuple(notes),
        layout=layout,
        factor=flux_factor(bunit, wave=wave, pixel_area=area, path=path),
    )


def _used(header: IfsHeader, between: tuple[float, float] | None) -> IfsHeader:
    """Return the header of the wavelengths that are used."""
    if between is None:
        return header
    inside = np.flatnonzero((header.wave >= between[0]) & (header.wave <= between[1]))
    if inside.size == 0:
        raise DataError(
            f"{header.path} has wavelengths {header.wave[0]:.6g} to {header.wave[-1]:.6g} "
            f"Angstrom; wanted some within wave_range, {between[0]:g} to {between[1]:g}"
        )
    part = slice(int(inside[0]), int(inside[-1]) + 1)
    return replace(
        header,
        shape=(inside.size, *header.shape[1:]),
        wave=header.wave[part],
        lsf_fwhm=header.lsf_fwhm[part],
        psf_fwhm=header.psf_fwhm[part],
        factor=header.factor[part],
        first=part.start,
    )
