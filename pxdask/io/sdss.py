"""The further HDUs of SDSS frame files: calibration and sky around a galaxy.

The sky is a coarse image with the positions of the frame's columns and rows on it (HDU 2: ALLSKY,
XINTERP, YINTERP), to be interpolated linearly; the calibration is one number a column (HDU 1). See
the SDSS data model, file type frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import map_coordinates

from pxdask.core.errors import DataError
from pxdask.io.fits import opened_hdus

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def frame_planes(
    path: str | Path, *, rows: slice, columns: slice
) -> dict[str, NDArray[np.float64]]:
    """Return the calibration [nmgy/DN] and the sky [DN] of part of a frame, (ny, nx) each.

    Parameters
    ----------
    path : str or Path
        The frame file, with its HDUs 1 and 2.
    rows, columns : slice
        Pixels of HDU 0.

    Raises
    ------
    DataError
        If the file lacks these HDUs, or they do not hold what they should.
    """
    with opened_hdus(path) as hdus:
        if len(hdus) < 3 or hdus[1].data is None:
            raise DataError(
                f"{path} has {len(hdus)} HDUs; the errors of an SDSS frame need its calibration "
                "and sky, HDU 1 and 2: get the whole frame file, or give the band an uncertainty"
            )
        calibration = np.array(hdus[1].data, dtype=np.float64)
        sky = _sky_table(hdus[2].data, path)
    allsky, x, y = sky
    if calibration.ndim != 1 or calibration.size < columns.stop or x.size < columns.stop:
        raise DataError(f"{path}: HDU 1 and 2 are shorter than the frame's {columns.stop} columns")
    if y.size < rows.stop:
        raise DataError(f"{path}: HDU 2 is shorter than the frame's {rows.stop} rows")
    shape = rows.stop - rows.start, columns.stop - columns.start
    return {
        "calibration": np.broadcast_to(calibration[columns], shape).copy(),
        "sky": _interpolated(allsky, x=x[columns], y=y[rows]),
    }


def _interpolated(
    image: NDArray[np.float64], *, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return an image at all pairs of y and x, (n_y, n_x); beyond its edge it stays constant."""
    where = np.meshgrid(y, x, indexing="ij")
    return np.asarray(map_coordinates(image, where, order=1, mode="nearest"), dtype=np.float64)


def _sky_table(
    table: Any,  # noqa: ANN401  astropy's FITS_rec, or whatever the HDU holds
    path: str | Path,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return ALLSKY, XINTERP and YINTERP."""
    try:
        allsky, x, y = (
            np.array(table[name], dtype=np.float64) for name in ("ALLSKY", "XINTERP", "YINTERP")
        )
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise DataError(
            f"{path}: HDU 2 has no columns ALLSKY, XINTERP, YINTERP of an SDSS frame"
        ) from error
    return allsky.reshape(allsky.shape[-2:]), x.ravel(), y.ravel()
