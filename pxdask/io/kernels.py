"""Files of PSFs and of matching kernels, such as those of Aniano et al. 2011 (PASP 123, 1218).

Their folders hold ``Kernel_HiRes_A_to_B.fits`` (or ``LoRes``, or gzipped), where A and B are
PSFs by their names: GALEX_FUV, IRAC_8.0, MIPS_24, PACS_100, SPIRE_250, WISE_FRAME_4.6 (also
WISE_MAP, WISE_ATLAS), and analytic ones by width: Gauss_03.5, BiGauss_01.5, Moffet_01.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from pxdask.core.errors import ConfigError, DataError
from pxdask.io.fits import read_kernel, write_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NAME = re.compile(r"^Kernel_(HiRes|LoRes)_(.+)_to_(.+?)\.fits(\.gz|\.fz)?$", re.IGNORECASE)
_SCALE_KEYS = ("PIXSCALE", "PIXELSCL", "PIXSCAL1", "SECPIX", "SECPIX1")
"""Keywords that state the side of a pixel in arcsec."""

_SHAPES = {"gaussian": "Gauss", "double_gaussian": "BiGauss", "moffat": "Moffet"}
_ANALYTIC = re.compile(r"^(gaussian|double_gaussian|moffat)_(\d+(?:\.\d)?)$")
"""A shape of this package with its width, to one decimal as the folders have it."""

_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    **{f"sdss_{band}": ("BiGauss_01.5",) for band in "ugr"},
    **{f"sdss_{band}": ("BiGauss_01.0",) for band in "iz"},
    **{f"{survey}_{band}": ("Gauss_03.5",) for survey in ("2mass", "twomass")
       for band in ("j", "h", "k", "ks")},
    **{f"wise_{band}": tuple(f"WISE_{kind}_{wave}" for kind in ("FRAME", "MAP", "ATLAS"))
       for band, wave in {"w1": "3.4", "w2": "4.6", "w3": "11.6", "w4": "22.1"}.items()},
    **{f"spitzer_irac_{name}": (f"IRAC_{wave}",)
       for i, wave in enumerate(("3.6", "4.5", "5.8", "8.0"), 1)
       for name in (f"ch{i}", str(i), wave)},
    **{f"spitzer_mips_{wave}": (f"MIPS_{wave}",) for wave in ("24", "70", "160")},
    **{f"herschel_pacs_{wave}": (f"PACS_{wave}",) for wave in ("70", "100", "160")},
    **{f"herschel_spire_{wave}": (f"SPIRE_{wave}",) for wave in ("250", "350", "500")},
}  # fmt: skip
"""What the folders call the PSFs of bands: SDSS and 2MASS as Abdurro'uf et al. 2021 (ApJS 254,
15) found."""


@dataclass(frozen=True, slots=True, eq=False)
class PsfFile:
    """A PSF or kernel as stored.

    Attributes
    ----------
    image : (ny, nx) float64
        Of any normalisation and size.
    pixel_scale : float or None
        Side of its pixels [arcsec]; None where the header does not tell.
    """

    image: NDArray[np.float64]
    pixel_scale: float | None


def find_kernel(folder: str | Path, source: str, target: str) -> Path:
    """Return the file of the kernel from one PSF to another.

    Parameters
    ----------
    folder : str or Path
        Holds files of the names above.
    source, target : str
        Names as in the files, in any case; or bands: ``galex_fuv``, ``sdss_u``, ``2mass_j``,
        ``wise_w2``, ``spitzer_irac_ch1``, ``herschel_spire_250``; or a shape and its width:
        ``gaussian:3.5``.

    Returns
    -------
    path : Path
        Where there are several: of high resolution before low, plain before compressed.

    Raises
    ------
    ConfigError
        If the folder is none, or holds no such kernel; names those to the same target.
    """
    place = Path(folder)
    if not place.is_dir():
        raise ConfigError(f"no folder of kernels: {place}")
    names = [_candidates(source), _candidates(target)]
    found, near = [], []
    for path in sorted(place.iterdir()):
        if (match := _NAME.match(path.name)) is None:
            continue
        resolution, own, wanted, packed = match.groups()
        ranks = [_rank(name, known) for name, known in zip((own, wanted), names, strict=True)]
        if ranks[1] is not None:
            near.append(own)
            if ranks[0] is not None:
                order = (ranks[0] + ranks[1], resolution.lower() == "lores", packed or "")
                found.append((order, path))
    if not found:
        known = f"; kernels to it are from {', '.join(sorted(set(near)))}" if near else ""
        raise ConfigError(f"{place} holds no kernel from {source!r} to {target!r}{known}")
    return min(found)[1]


def read_psf_file(path: str | Path) -> PsfFile:
    """Return a PSF or kernel with the side of its pixels.

    Raises
    ------
    DataError
        If the file is absent, not FITS, cut short, or not a two-dimensional image; if its pixels
        are not square.
    """
    image = read_kernel(path)
    with fits.open(path) as hdus:
        headers = [hdu.header for hdu in hdus if hdu.is_image]
        header = next((h for h in headers if h["NAXIS"] == 2), headers[0])
        return PsfFile(image, _pixel_scale(header, path))


def write_psf_file(
    path: str | Path, image: NDArray[np.float64], *, pixel_scale: float, comment: str = ""
) -> None:
    """Write a PSF or kernel with the side of its pixels [arcsec], as `read_psf_file` reads it.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    step = pixel_scale / 3600.0
    cards: dict[str, object] = {
        "PIXSCALE": (pixel_scale, "[arcsec] side of a pixel"),
        "CD1_1": -step,
        "CD1_2": 0.0,
        "CD2_1": 0.0,
        "CD2_2": step,
    }
    if comment:
        cards["COMMENT"] = comment
    write_image(path, np.asarray(image, dtype=np.float64), cards)


def _candidates(name: str) -> tuple[str, ...]:
    """Return what a PSF may be called in a folder, best first, in lower case."""
    plain = re.sub(r"[\s:-]+", "_", name.strip().lower())
    others = [*_OTHER_NAMES.get(plain, ())]
    if (match := _ANALYTIC.match(plain)) is not None:
        others.append(f"{_SHAPES[match[1]]}_{float(match[2]):04.1f}")
    return tuple(dict.fromkeys([plain, *(other.lower() for other in others)]))


def _rank(name: str, known: tuple[str, ...]) -> int | None:
    """Return the place of a file's PSF among names, or None."""
    return known.index(name.lower()) if name.lower() in known else None


def _pixel_scale(header: fits.Header, path: str | Path) -> float | None:
    """Return the side of a pixel that a header states [arcsec], or None."""
    for key in _SCALE_KEYS:
        if isinstance(header.get(key), int | float) and header[key] > 0:
            return float(header[key])
    matrix = [[header.get(f"CD{i}_{j}", 0.0) for j in (1, 2)] for i in (1, 2)]
    if not np.any(matrix) and "CDELT1" in header:
        matrix = [[header["CDELT1"], 0.0], [0.0, header.get("CDELT2", header["CDELT1"])]]
    sides = 3600.0 * np.linalg.norm(np.asarray(matrix, dtype=np.float64), axis=0)
    if not np.all(sides > 0):
        return None
    if abs(sides[1] / sides[0] - 1) > 1e-3:
        raise DataError(
            f"the pixels of {path} are {sides[0]:.4g} x {sides[1]:.4g} arcsec, not square"
        )
    return float(sides[0])
