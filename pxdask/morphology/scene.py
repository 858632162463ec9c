"""All that a fit of one galaxy needs, as arrays of a few standard sizes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs.utils import skycoord_to_pixel

from pxdask.core.errors import DataError
from pxdask.images.grid import parse_wcs
from pxdask.morphology.first_guess import Guess, Pixels, guess_source, psf_half_radius
from pxdask.morphology.parameters import Layout, fft_side
from pxdask.morphology.problem import Problem, make_problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.morphology import MorphologyConfig
    from pxdask.morphology.parameters import Profile

    Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

BUCKETS = (32, 48, 64, 96, 128, 160, 192, 256)
"""Sides that stamps are padded to [pix]; larger ones to multiples of 64."""

MOST_IN_BORDER = 0.02
"""Part of a galaxy's light in the border of a stamp above which the stamp is full of it."""

LEAST_PIXELS = 25
"""Good pixels without which a band is left out."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A source beside the galaxy that is fitted with it.

    Attributes
    ----------
    ra, dec : float
        ICRS [deg].
    radius : float
        Within which its light is seen [arcsec].
    """

    ra: float
    dec: float
    radius: float


@dataclass(frozen=True, eq=False)
class Stamp:
    """What results need to know of a band's stamp, fitted or not; ``psf_radius`` in arcsec."""

    band: str
    pivot_wave: float
    wcs: str
    pixel_scale: float
    psf_radius: float
    flux: NDArray[np.float32]
    flux_err: NDArray[np.float32]
    good: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scene:
    """A galaxy's bands, parameters and priors.

    Attributes
    ----------
    layout : Layout
        Form of the problem; static where programs are compiled.
    arrays : dict
        ``groups``: a tuple of dicts of arrays with a leading axis of the group's bands: ``flux``,
        ``weight`` (1 / error, 0 where masked) (side, side), ``psf`` (n_fft, n_fft // 2 + 1)
        complex, ``matrix`` (2, 2) from east and north [arcsec] to x and y [pix], ``origin`` (2,)
        of the catalogue's position [pix], ``half_side`` [pix], ``design`` (n_local, n_dim) from
        theta to the z of each of the band's parameters, their ``low`` and ``high`` (n_local,), and,
        where priors are given, ``mean`` and ``std`` of these;
        ``prior_mean`` and ``prior_std`` (n_dim,) of normal priors of theta; ``dof``.
    start : (n_dim,) float64
        Theta to start from.
    columns : dict
        Where the coefficients of (source, parameter) are in theta; see `Problem`.
    placed : tuple of (int, int)
        Group, and row in it, of each fitted band.
    fitted : tuple of int
        Which of ``stamps`` are fitted; the others have too few pixels.
    stamps : tuple of Stamp
        All bands, in the order given.
    sources : tuple of str
        "galaxy", and numbers of neighbours from "1".
    wave : (n_wave,) float64
        Where smooth functions are evaluated [Angstrom].
    curves : dict
        Terms (n_wave, n_coefficient) of each linked parameter.
    guess : Guess
        First guess of the galaxy.
    """

    layout: Layout
    arrays: dict[str, Any]
    start: Floats
    columns: Mapping[tuple[int, str], slice]
    placed: tuple[tuple[int, int], ...]
    fitted: tuple[int, ...]
    stamps: tuple[Stamp, ...]
    sources: tuple[str, ...]
    wave: Floats
    curves: Mapping[str, Floats]
    guess: Guess

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the fitted bands."""
        return tuple(self.stamps[i].band for i in self.fitted)

    def of_band(self, name: str) -> Floats:
        """Return what is one array in all bands, not images, with bands as its first axis."""
        return np.stack([self.arrays["groups"][g][name][row] for g, row in self.placed])


def make_scene(
    stamps: Mapping[str, xr.Dataset],
    *,
    ra: float,
    dec: float,
    config: MorphologyConfig,
    galaxy: Mapping[str, object],
    neighbours: Sequence[Neighbour] = (),
) -> Scene:
    """Return what a fit of one galaxy needs.

    Parameters
    ----------
    stamps : mapping of Dataset (schema STAMP)
        Stamp of each band, each on its own pixels, with its own PSF.
    ra, dec : float
        The galaxy, ICRS [deg].
    config : MorphologyConfig
        Settings.
    galaxy : mapping
        Catalogue row, for priors that name its columns, and for messages.
    neighbours : sequence of Neighbour
        Sources to be fitted too; their pixels must not be masked.

    Raises
    ------
    DataError
        If no band has pixels to fit.
    """
    listed = tuple(_stamp(name, each) for name, each in stamps.items())
    fitted = tuple(i for i, each in enumerate(listed) if each.good.sum() >= LEAST_PIXELS)
    if not fitted:
        counts = {each.band: int(each.good.sum()) for each in listed}
        raise DataError(
            f"galaxy {galaxy.get('id')!r}: no band has {LEAST_PIXELS} good pixels in its stamp: "
            f"{counts}; widen the stamp, or look at masks and errors"
        )
    if len(fitted) < len(listed):
        left = [each.band for i, each in enumerate(listed) if i not in fitted]
        logger.warning(
            "galaxy %s: bands %s have no pixels and are left out", galaxy.get("id"), left
        )
    used = [listed[i] for i in fitted]
    maps = [_sky_map(each, ra=ra, dec=dec, near=neighbours) for each in used]
    psfs = [np.asarray(stamps[each.band]["psf"].values, np.float64) for each in used]
    pixels = [_pixels(*each) for each in zip(used, maps, strict=True)]
    guesses = _guesses(pixels, maps[0][2], neighbours)
    _tell_full(used, pixels, guesses[0], galaxy)
    problem = make_problem(
        guesses,
        pivot_wave=np.array([each.pivot_wave for each in used]),
        pixels=pixels,
        config=config,
        galaxy=galaxy,
    )
    sides = [bucket(max(each.flux.shape)) for each in used]
    placed, groups = _grouped(used, sides, maps, psfs, problem)
    layout = Layout(
        groups=tuple((len(each["flux"]), each["flux"].shape[-1]) for each in groups),
        sources=(config.profile, *_sersic(len(neighbours))),
        sky=config.sky,
        n_dim=len(problem.start),
        loss=config.loss,
        given=problem.given,
    )
    arrays = {
        "groups": groups,
        "prior_mean": problem.prior_mean,
        "prior_std": problem.prior_std,
        "dof": np.float64(config.dof),
    }
    return Scene(
        layout=layout, arrays=arrays, start=problem.start, columns=problem.columns, placed=placed,
        fitted=fitted, stamps=listed, sources=("galaxy", *map(str, range(1, len(neighbours) + 1))),
        wave=problem.wave, curves=problem.curves, guess=guesses[0],
    )  # fmt: skip


def _tell_full(
    used: Sequence[Stamp], pixels: Sequence[Pixels], guess: Guess, galaxy: Mapping[str, object]
) -> None:
    """Warn of bands whose stamps end within the galaxy: their sky is hardly known."""
    told = []
    for stamp, band, border, flux in zip(used, pixels, guess.borders, guess.flux, strict=True):
        ny, nx = band.flux.shape
        edge = max(2, min(ny, nx) // 10)
        light = border.light * (ny * nx - (ny - 2 * edge) * (nx - 2 * edge))
        if light > MOST_IN_BORDER * abs(flux):
            told.append(stamp.band)
    if told:
        logger.warning(
            "galaxy %s: the stamps of bands %s end within it: more than %g %% of its light is in"
            " their borders, so their sky, sizes and indices are uncertain; raise"
            " morphology.stamp or morphology.max_side",
            galaxy.get("id"), told, 100 * MOST_IN_BORDER,
        )  # fmt: skip


def bucket(side: int) -> int:
    """Return the side that stamps of a side are padded to [pix]."""
    return next((each for each in BUCKETS if each >= side), -(-side // 64) * 64)


def psf_transform(psf: Floats, *, n_fft: int) -> NDArray[np.complex128]:
    """Return the Fourier transform of a PSF about its middle.

    Parameters
    ----------
    psf : (ny, nx) float64
        Centred on pixel ((ny - 1) / 2, (nx - 1) / 2), so between pixels where sides are even.
    n_fft : int
        Side of the transform [pix]; what is beyond is cut, symmetrically.

    Returns
    -------
    transform : (n_fft, n_fft // 2 + 1) complex128
        One at frequency zero.
    """
    cuts = [max(0, -(-(size - n_fft) // 2)) for size in psf.shape]
    psf = psf[cuts[0] : psf.shape[0] - cuts[0], cuts[1] : psf.shape[1] - cuts[1]]
    ky, kx = 2j * np.pi * np.fft.fftfreq(n_fft), 2j * np.pi * np.fft.rfftfreq(n_fft)
    middle = np.exp(ky * (psf.shape[0] - 1) / 2)[:, None] * np.exp(kx * (psf.shape[1] - 1) / 2)
    transform = np.fft.rfft2(psf, s=(n_fft, n_fft)) * middle
    return np.asarray(transform / np.sum(psf), dtype=np.complex128)


def _sersic(count: int) -> list[Profile]:
    """Return the profiles of neighbours."""
    return ["sersic"] * count


def _stamp(band: str, stamp: xr.Dataset) -> Stamp:
    """Return what is kept of a Dataset."""
    flux, error = stamp["flux"].values, stamp["flux_err"].values
    good = np.isfinite(flux) & np.isfinite(error) & ~stamp["masked"].values
    scale = float(stamp.attrs["pixel_scale"])
    return Stamp(
        band=band,
        pivot_wave=float(stamp.attrs["pivot_wave"]),
        wcs=str(stamp.attrs["wcs"]),
        pixel_scale=scale,
        psf_radius=psf_half_radius(np.asarray(stamp["psf"].values, np.float64), pixel_scale=scale),
        flux=flux,
        flux_err=error,
        good=good & (np.where(good, error, 0.0) > 0),
    )


def _sky_map(
    stamp: Stamp, *, ra: float, dec: float, near: Sequence[Neighbour]
) -> tuple[Floats, Floats, Floats]:
    """Return matrix (2, 2) [pix arcsec-1], origin (2,) [pix] and neighbours (n, 2) [arcsec].

    Neighbours are east and north. The matrix is that at the galaxy: a stamp is so small that it
    is the same everywhere.
    """
    step = 1.0 / 3600
    wide = step / np.cos(np.radians(dec))
    sky = SkyCoord(
        [ra + wide, ra - wide, ra, ra, ra, *(each.ra for each in near)],
        [dec, dec, dec + step, dec - step, dec, *(each.dec for each in near)],
        unit="deg",
    )
    x, y = (np.asarray(each, np.float64) for each in skycoord_to_pixel(sky, parse_wcs(stamp.wcs)))
    matrix = 0.5 * np.array([[x[0] - x[1], x[2] - x[3]], [y[0] - y[1], y[2] - y[3]]])
    origin = np.array([x[4], y[4]])
    offsets = np.linalg.solve(matrix, np.stack([x[5:], y[5:]]) - origin[:, None]).T
    return matrix, origin, offsets


def _pixels(stamp: Stamp, sky_map: tuple[Floats, Floats, Floats]) -> Pixels:
    """Return a band's pixels on the sky, for first guesses."""
    matrix, origin, _ = sky_map
    y, x = np.indices(stamp.flux.shape, dtype=np.float64)
    inverse = np.linalg.inv(matrix)
    dx, dy = x - origin[0], y - origin[1]
    return Pixels(
        east=inverse[0, 0] * dx + inverse[0, 1] * dy,
        north=inverse[1, 0] * dx + inverse[1, 1] * dy,
        flux=stamp.flux.astype(np.float64),
        flux_err=stamp.flux_err.astype(np.float64),
        good=stamp.good,
        pixel_scale=stamp.pixel_scale,
        psf_radius=stamp.psf_radius,
    )


def _guesses(
    pixels: Sequence[Pixels], offsets: Floats, neighbours: Sequence[Neighbour]
) -> list[Guess]:
    """Return first guesses of the galaxy and of its neighbours."""
    apart = [float(np.hypot(*each)) for each in offsets]
    reach = 0.7 * min(apart) if apart else None
    others = [
        guess_source(pixels, at=(float(at[0]), float(at[1])), reach=each.radius)
        for at, each in zip(offsets, neighbours, strict=True)
    ]
    return [guess_source(pixels, reach=reach), *others]


def _grouped(
    used: Sequence[Stamp],
    sides: Sequence[int],
    maps: Sequence[tuple[Floats, Floats, Floats]],
    psfs: Sequence[Floats],
    problem: Problem,
) -> tuple[tuple[tuple[int, int], ...], tuple[dict[str, Floats], ...]]:
    """Return where each band is, and the arrays of bands of one side together."""
    placed: list[tuple[int, int]] = [(0, 0)] * len(used)
    groups = []
    for number, side in enumerate(sorted(set(sides))):
        members = [i for i, own in enumerate(sides) if own == side]
        rows = []
        for row, i in enumerate(members):
            placed[i] = (number, row)
            flux, weight = np.zeros((side, side)), np.zeros((side, side))
            ny, nx = used[i].flux.shape
            good = used[i].good
            flux[:ny, :nx][good] = used[i].flux[good]
            weight[:ny, :nx][good] = 1 / used[i].flux_err[good].astype(np.float64)
            rows.append(
                {
                    "flux": flux,
                    "weight": weight,
                    "psf": psf_transform(psfs[i], n_fft=fft_side(side)),
                    "matrix": maps[i][0],
                    "origin": maps[i][1],
                    "half_side": np.float64(max(ny, nx) / 2),
                    "design": problem.design[i],
                    "low": problem.low[i],
                    "high": problem.high[i],
                }
                | ({"mean": problem.mean[i], "std": problem.std[i]} if problem.given else {})
            )
        groups.append({name: np.stack([each[name] for each in rows]) for name in rows[0]})
    return tuple(placed), tuple(groups)
