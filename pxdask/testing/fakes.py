"""A made-up model set and a made-up galaxy, quick to make and near enough to real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from astropy.wcs import WCS

from pxdask.core.bandpass import Filter
from pxdask.core.flags import flag_attrs
from pxdask.core.models import ModelConfig
from pxdask.core.schema import BINS, IMAGE, MODELS
from pxdask.fitting.seds import Seds
from pxdask.sps.libraries import ModelLibrary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RANGES = {
    "log_age": (8.0, 10.1, "dex(yr)"),
    "log_tau": (8.0, 10.5, "dex(yr)"),
    "logzsol": (-1.5, 0.3, ""),
    "dust2": (0.0, 2.0, ""),
}
"""Prior of each parameter of the made-up models, uniform, and its unit."""


@dataclass(frozen=True, slots=True)
class FakeGalaxy:
    """A galaxy as the stages before the fit would give it, its models and its row."""

    row: dict[str, object]
    cube: xr.Dataset
    bins: xr.Dataset
    models: xr.Dataset


def fake_models(
    pivot_wave: Floats, *, n_model: int, rng: np.random.Generator, unit_flux: float = 1e-6
) -> xr.Dataset:
    """Return models with the look of stellar populations: ages, breaks and reddening.

    Parameters
    ----------
    pivot_wave : (n_band,)
        Pivot wavelengths [Angstrom].
    n_model : int
        Number of models, drawn from `RANGES`.
    rng : numpy.random.Generator
        Source of the draws.
    unit_flux : float
        Flux density of an unreddened model of 1 Gyr at 1 micron [uJy Msun-1].

    Returns
    -------
    models : xarray.Dataset
        Schema models/1.
    """
    drawn = {name: rng.uniform(low, high, n_model) for name, (low, high, _) in RANGES.items()}
    mean_age = np.minimum(drawn["log_age"], drawn["log_tau"]) - 0.2
    flux = unit_flux * _toy_sed(
        pivot_wave, mean_age, drawn["logzsol"], drawn["dust2"], young=drawn["log_tau"]
    )
    log_sfr = -drawn["log_age"] - (10 ** (drawn["log_age"] - drawn["log_tau"])) / np.log(10)
    derived = {
        "surviving": (0.95 - 0.12 * (mean_age - 7.0), "", "surviving mass / mass formed"),
        "sfr": (10**log_sfr, "1 / yr", "star formation rate per mass formed"),
        "log_mw_age": (mean_age, "dex(yr)", "log10 of mass-weighted age"),
        "av": (1.086 * drawn["dust2"], "mag", "attenuation in V"),
    }
    units = {name: unit for name, (_, _, unit) in RANGES.items()}
    parameters = {
        name: ("model", value, {"units": units[name], "long_name": name})
        for name, value in drawn.items()
    }
    numbers = {
        name: ("model", value, {"units": unit, "long_name": meaning})
        for name, (value, unit, meaning) in derived.items()
    }
    ds = xr.Dataset(
        {"flux": (("model", "band"), flux.astype(np.float32), MODELS.attrs("flux"))}
        | parameters
        | numbers,
        coords=_bands(pivot_wave),
        attrs={"schema": MODELS.tag},
    )
    return MODELS.validate(ds)


def fake_galaxy(
    *,
    rng: np.random.Generator,
    n_pixel: int = 24,
    n_band: int = 5,
    n_model: int = 500,
    snr: float = 20.0,
) -> FakeGalaxy:
    """Return a made-up spiral: older, richer in metals and dustier towards its centre.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the models and of the noise.
    n_pixel : int
        Side of the images [pix].
    n_band : int
        Bands, from the ultraviolet to the near infrared.
    n_model : int
        Models in the set.
    snr : float
        Signal-to-noise ratio per pixel at half of the radius.
    """
    pivot_wave = np.geomspace(1550, 46000, n_band) if n_band > 1 else np.array([6200.0])
    y, x = np.indices((n_pixel, n_pixel)) - 0.5 * (n_pixel - 1)
    radius = np.hypot(x, 1.3 * y) / (0.46 * n_pixel)
    angle = np.arctan2(1.3 * y, x)
    arms = 0.5 + 0.5 * np.cos(2 * angle - 7 * np.log(radius + 0.15))
    mass = 3e8 * (np.exp(-3.2 * radius) * (0.7 + 0.6 * arms) + 2 * np.exp(-22 * radius))
    sed = _toy_sed(
        pivot_wave,
        9.9 - 0.8 * radius - 0.5 * arms * (radius > 0.15),
        0.2 - 0.7 * radius,
        1.1 * np.exp(-1.5 * radius) * (0.5 + 0.5 * arms),
        young=9.7 + 0.5 * radius,
    )
    flux = np.moveaxis(1e-6 * mass[..., None] * sed, -1, 0)
    from_half = np.abs(radius - 0.5)
    half_light = [np.median(band[from_half <= max(0.1, from_half.min())]) for band in flux]
    flux_err = np.array(half_light)[:, None, None] / snr * np.sqrt(1 + flux / flux.max())
    flux = flux + flux_err * rng.standard_normal(flux.shape)
    region = radius < 1
    bin_map = _sectors(radius, angle, region)
    cube = _cube(flux, flux_err, region, pivot_wave)
    return FakeGalaxy(
        row={"id": "fake-1", "ra": 14.1777, "dec": -9.9139, "redshift": 0.0188977},
        cube=cube,
        bins=_bins(cube, bin_map),
        models=fake_models(pivot_wave, n_model=n_model, rng=rng),
    )


def _toy_sed(
    pivot_wave: Floats, mean_age: Floats, logzsol: Floats, dust2: Floats, *, young: Floats
) -> Floats:
    """Return flux densities (..., n_band) with ages, a break at 4000 Angstrom, and dust."""
    micron = pivot_wave / 1e4
    age, metal, dust, late = (each[..., None] for each in (mean_age, logzsol, dust2, young))
    old = micron / (micron**2 + 0.8) * (0.25 + 1 / (1 + np.exp(-(pivot_wave - 3900) / 250)))
    old = old * 10 ** (-0.55 * (age - 9) + (0.25 * metal + 0.2 * (age - 9)) * np.log10(micron))
    hot = 0.06 * micron**-0.3 * 10 ** (0.6 * (late - 9) - 0.9 * (age - 9) - 0.1 * metal)
    return np.asarray((old + hot) * np.exp(-dust * (micron / 0.55) ** -0.9))


def _bands(pivot_wave: Floats) -> dict[str, tuple[str, NDArray[np.generic], dict[str, str]]]:
    """Return the coordinates of made-up bands."""
    names = np.array([f"fake_{i}" for i in range(pivot_wave.size)], object)
    return {
        "band": ("band", names, MODELS.attrs("band")),
        "pivot_wave": ("band", np.array(pivot_wave, np.float64), MODELS.attrs("pivot_wave")),
    }


def _sectors(radius: Floats, angle: Floats, region: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return bins that are sectors of rings, wider outwards, numbered from the centre."""
    ring = np.floor(10 * np.sqrt(radius)).astype(int)
    sector = np.floor((angle / (2 * np.pi) + 0.5) * 2 * (ring + 1)).astype(int)
    label = np.where(region, 1000 * ring + sector, -1)
    _, number = np.unique(label, return_inverse=True)
    outside = int(bool(np.any(~region)))
    return (number.reshape(label.shape) - outside).astype(np.int32)


def _cube(
    flux: Floats, flux_err: Floats, region: NDArray[np.bool_], pivot_wave: Floats
) -> xr.Dataset:
    """Return images as the image stage gives them."""
    n_pixel = flux.shape[-1]
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [14.1777, -9.9139]
    wcs.wcs.crpix = [0.5 * (n_pixel + 1)] * 2
    wcs.wcs.cdelt = [-1.5 / 3600, 1.5 / 3600]
    pixels, n_band = ("band", "y", "x"), pivot_wave.size
    ds = xr.Dataset(
        {
            "flux": (pixels, flux.astype(np.float32), IMAGE.attrs("flux")),
            "flux_err": (pixels, flux_err.astype(np.float32), IMAGE.attrs("flux_err")),
            "flags": (pixels, np.zeros(flux.shape, np.uint16), _flag_attrs()),
            "psf_fwhm": ("band", np.full(n_band, 4.0), IMAGE.attrs("psf_fwhm")),
            "noise_area": ("band", np.ones(n_band), IMAGE.attrs("noise_area")),
            "region": (("y", "x"), region, IMAGE.attrs("region")),
        },
        coords=_bands(pivot_wave),
        attrs={"schema": IMAGE.tag, "wcs": wcs.to_header_string()},
    )
    return IMAGE.validate(ds)


def _bins(cube: xr.Dataset, bin_map: NDArray[np.int32]) -> xr.Dataset:
    """Return the sums of images over bins."""
    members, n_bin = bin_map[bin_map >= 0], int(bin_map.max()) + 1
    flux = [
        np.bincount(members, weights=band[bin_map >= 0], minlength=n_bin)
        for band in cube["flux"].values
    ]
    variance = [
        np.bincount(members, weights=band[bin_map >= 0].astype(np.float64) ** 2, minlength=n_bin)
        for band in cube["flux_err"].values
    ]
    seds = ("bin", "band")
    ds = xr.Dataset(
        {
            "bin_map": (("y", "x"), bin_map, BINS.attrs("bin_map")),
            "flux": (seds, np.transpose(flux), BINS.attrs("flux")),
            "flux_err": (seds, np.sqrt(np.transpose(variance)), BINS.attrs("flux_err")),
            "n_pix": ("bin", np.bincount(members).astype(np.int32), BINS.attrs("n_pix")),
            "flags": (seds, np.zeros((n_bin, len(flux)), np.uint16), _flag_attrs()),
        },
        coords=cube[["band", "pivot_wave"]].coords,
        attrs={"schema": BINS.tag},
    )
    return BINS.validate(ds)


def _flag_attrs() -> dict[str, object]:
    """Return the attributes of a flag variable."""
    return {**flag_attrs(), "long_name": "quality flags"}


def library_of(models: xr.Dataset, *, redshift: float = 0.1, seed: int = 1) -> ModelLibrary:
    """Return a library whose drawn set is given, in box filters, without populations."""
    pivots = zip(models["band"].values, models["pivot_wave"].values, strict=True)
    return ModelLibrary(
        settings=ModelConfig(),
        ssp=xr.Dataset(),
        filters=tuple(
            Filter(str(name), np.array([0.95, 1.05]) * wave, np.ones(2)) for name, wave in pivots
        ),
        redshift=redshift,
        seed=seed,
        draw=lambda: models,
    )


def seds_of(flux: Floats, flux_err: Floats) -> Seds:
    """Return photometry alone, each SED with a random stream of its number."""
    return Seds(flux, flux_err, tuple(("sed", i) for i in range(len(flux))))
