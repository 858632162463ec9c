"""How each kind of figure is made of a galaxy's data: what is read, computed and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag
from pxdask.plots import bins as bin_plots
from pxdask.plots import kernels as kernel_plots
from pxdask.plots import lines, morphology, photometry, posterior, properties, seds, sky
from pxdask.plots import radial as radial_plots
from pxdask.plots import spectra as spectrum_plots
from pxdask.plots import summary as summary_plots
from pxdask.plots.style import title_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from pxdask.core.config import BandConfig
    from pxdask.images.psf import Psf
    from pxdask.morphology.ellipses import Geometry
    from pxdask.survey.looking.galaxy_data import GalaxyData

N_SEDS = 6
"""Bins whose SEDs are in one figure."""
N_RINGS = 16
"""Rings of a profile at most; none is narrower than a pixel."""


@dataclass(frozen=True)
class Choice:
    """What of a galaxy a figure is to show; each kind uses what it needs.

    Attributes
    ----------
    bin : int or None
        Number of a bin; None: that of ``pixel``, or the brightest one that was fitted.
    band : str or None
        Name of a band; None: all, or what suits the kind.
    pixel : (y, x) or None
        A pixel, from 0.
    names : tuple of str
        Quantities; empty: those that suit the kind.
    n_draw : int
        Posterior samples of which model spectra and histories are made.
    """

    bin: int | None = None
    band: str | None = None
    pixel: tuple[int, int] | None = None
    names: tuple[str, ...] = ()
    n_draw: int = 100

    @property
    def bands(self) -> tuple[str, ...] | None:
        """The band as a list of bands; None for all."""
        return None if self.band is None else (self.band,)


def flux(data: GalaxyData, choice: Choice) -> Figure:
    """Return maps of flux in all bands, or one."""
    return sky.flux_figure(data.cube, title=_title(data), region=_region(data), bands=choice.bands)


def colour(data: GalaxyData, _choice: Choice) -> Figure:
    """Return a colour composite."""
    scale = float(data.maps.attrs["kpc_per_pixel"])
    return sky.colour_figure(
        data.cube, title=_title(data), region=_region(data), kpc_per_pixel=scale
    )


def snr(data: GalaxyData, choice: Choice) -> Figure:
    """Return maps of signal-to-noise ratio."""
    return sky.snr_figure(data.cube, title=_title(data), region=_region(data), bands=choice.bands)


def profiles(data: GalaxyData, choice: Choice) -> Figure:
    """Return profiles of brightness and of signal-to-noise ratio."""
    from pxdask.images.photometry import radial_profile  # noqa: PLC0415  loads the image code

    cube = data.cube
    if choice.band is not None:
        cube = cube.isel(band=[list(data.bands).index(choice.band)])
    geometry = geometry_of_galaxy(data)
    edges = _ring_edges(data, geometry, reach=1.5)
    profile = radial_profile(cube, ellipse=geometry.ellipse, edges=edges)
    figure = photometry.profile_figure(profile)
    _entitle(figure, _title(data))
    return figure


def bins(data: GalaxyData, _choice: Choice) -> Figure:
    """Return the bins and their quality."""
    return bin_plots.bins_figure(data.bins, title=_title(data))


def pixel_seds(data: GalaxyData, choice: Choice) -> Figure:
    """Return the SEDs of a bin's pixels, or of one pixel."""
    number = number_of(data, choice)
    return seds.pixels_figure(
        data.cube,
        data.bins,
        number=number,
        title=_title(data, f"bin {number}"),
        pixel=choice.pixel,
    )


def bin_seds(data: GalaxyData, choice: Choice) -> Figure:
    """Return the SEDs of some bins from the middle outwards, or of one."""
    fitted = np.isfinite(data.fit["chi2"].values)
    chosen = choice.bin is not None or choice.pixel is not None
    numbers = seds.spread_bins(data.bins, N_SEDS, candidates=fitted)
    return seds.seds_figure(
        data.bins,
        data.fit,
        numbers=[number_of(data, choice)] if chosen else numbers,
        title=_title(data),
    )


def best_fit(data: GalaxyData, choice: Choice) -> Figure:
    """Return the best fit of a bin; of samples, if there are any, spectra and components."""
    number = number_of(data, choice)
    return seds.fit_figure(
        data.bins,
        data.fit,
        number=number,
        title=_title(data, f"bin {number}"),
        model=_model(data, number, choice),
    )


def spectrum(data: GalaxyData, choice: Choice) -> Figure:
    """Return the spectrum of a bin with its photometry."""
    seen = np.isfinite(data.bins["spectrum"].values).any(axis=1)
    number = number_of(data, choice, among=seen)
    return spectrum_plots.spectrum_figure(
        data.bins,
        number=number,
        redshift=data.redshift,
        title=_title(data, f"bin {number}"),
        fit=data.fit,
    )


def corner(data: GalaxyData, choice: Choice) -> Figure:
    """Return the corner figure of a bin."""
    number = number_of(data, choice)
    return posterior.corner_figure(
        data.fit,
        number=number,
        title=_title(data, f"bin {number}"),
        names=choice.names or None,
    )


def history(data: GalaxyData, choice: Choice) -> Figure:
    """Return the star formation history of a bin."""
    from pxdask.fitting.components import star_formation_history  # noqa: PLC0415  loads models

    number = number_of(data, choice)
    n_draw = 3 * choice.n_draw  # histories are cheap beside spectra
    found = star_formation_history(data.posterior, number, n_draw=n_draw)
    return posterior.history_figure(found, title=_title(data, f"bin {number}"))


def maps(data: GalaxyData, choice: Choice) -> Figure:
    """Return the maps of properties."""
    return properties.maps_figure(data.maps, title=_title(data), names=choice.names or None)


def radial(data: GalaxyData, choice: Choice) -> Figure:
    """Return properties against radius: the run's profiles, or else of bins as they are."""
    made = data.radial
    if made is not None and set(choice.names).issubset(radial_plots.profile_names(made)):
        return radial_plots.radial_profiles_figure(
            made, title=_title(data), names=choice.names or None
        )
    geometry = geometry_of_galaxy(data)
    edges = _ring_edges(data, geometry, reach=1.0)
    return radial_plots.radial_figure(
        data.maps,
        data.bins,
        data.fit,
        radius_of(data, geometry),
        title=_title(data),
        width=float(edges[1]),
        kpc_per_arcsec=float(data.maps.attrs["kpc_per_pixel"]) / pixel_side(data),
        names=choice.names or None,
    )


def main_sequence(data: GalaxyData, _choice: Choice) -> Figure:
    """Return star formation against mass of the bins."""
    radius = radius_of(data, geometry_of_galaxy(data))
    return properties.main_sequence_figure(
        data.maps, data.bins, data.fit, radius, title=_title(data)
    )


def line_maps(data: GalaxyData, _choice: Choice) -> Figure:
    """Return maps of emission lines."""
    found = data.line_maps
    if found is None:  # `needs` asks for it
        raise DataError(f"galaxy {data.galaxy!r}: {data.missing('lines')}")
    return lines.lines_figure(found, title=_title(data))


def shapes(data: GalaxyData, _choice: Choice) -> Figure:
    """Return the Sersic profiles of the galaxy."""
    found = data.morphology
    if found is None:  # `needs` asks for it
        raise DataError(f"galaxy {data.galaxy!r}: {data.missing('morphology')}")
    return morphology.profiles_figure(found, title=_title(data))


def kernel(data: GalaxyData, choice: Choice) -> Figure:
    """Return the test of a band's matching kernel."""
    check, band, target = kernel_check(data, choice.band)
    figure = kernel_plots.kernel_figure(check)
    _entitle(figure, _title(data, f"PSF of {band} to {target}"))
    return figure


def summary(data: GalaxyData, _choice: Choice) -> Figure:
    """Return the summary of a galaxy."""
    return summary_plots.summary_figure(
        maps=data.maps, cube=data.cube, bins=data.bins, fit=data.fit, title=_title(data)
    )


def number_of(data: GalaxyData, choice: Choice, *, among: NDArray[np.bool_] | None = None) -> int:
    """Return the bin to show: the one asked for, that of the pixel, or `brightest_bin`.

    Raises
    ------
    ConfigError
        If the pixel is in no bin.
    """
    if choice.bin is not None:
        return choice.bin
    if choice.pixel is None:
        return brightest_bin(data, among=among)
    number = int(data.bins["bin_map"].values[choice.pixel])
    if number < 0:
        raise ConfigError(
            f"galaxy {data.galaxy!r}: the pixel (y, x) = {choice.pixel} is in no bin; wanted one"
            " of the bin map"
        )
    return number


def brightest_bin(data: GalaxyData, *, among: NDArray[np.bool_] | None = None) -> int:
    """Return the bin of greatest flux per pixel in the reference band, of those well fitted.

    Bins whose posterior is of few models are taken only where there are no others; ``among``
    (n_bin,) are those to choose from, if there are any.
    """
    names = list(data.bands)
    reference = str(data.bins.attrs.get("reference_band", names[0]))
    flux = data.bins["flux"].values[:, names.index(reference) if reference in names else 0]
    density = np.nan_to_num(flux / np.maximum(data.bins["n_pix"].values, 1), nan=-np.inf)
    fitted = np.isfinite(data.fit["chi2"].values)
    few = np.zeros(fitted.size, np.bool_)
    if "flags" in data.fit:
        few = (data.fit["flags"].values & int(Flag.FEW_MODELS)) != 0
    some = np.ones(fitted.size, np.bool_) if among is None else among
    for good in (fitted & ~few & some, fitted & some, some, fitted):
        if good.any():
            return int(np.argmax(np.where(good, density, -np.inf)))
    return int(np.argmax(density))


def geometry_of_galaxy(data: GalaxyData) -> Geometry:
    """Return the ellipse of a galaxy: of its Sersic fit, or else of its light's moments."""
    from pxdask.morphology.ellipses import geometry_of  # noqa: PLC0415  loads the image code

    where = (float(str(data.row[name])) for name in ("ra", "dec"))
    ra, dec = where
    cube = data.cube
    if "region" not in cube:
        cube = cube.assign(region=(("y", "x"), _region(data)))
    return geometry_of(cube, data.morphology, ra=ra, dec=dec)


def radius_of(data: GalaxyData, geometry: Geometry) -> NDArray[np.float64]:
    """Return the semi-major axis of the ellipse through each pixel (ny, nx) [arcsec]."""
    from pxdask.images import Grid  # noqa: PLC0415  loads the image code

    shape = (data.cube.sizes["y"], data.cube.sizes["x"])
    return geometry.ellipse.radius(Grid(str(data.cube.attrs["wcs"]), shape).to_wcs(), shape)


def pixel_side(data: GalaxyData) -> float:
    """Return the side of the cube's pixels [arcsec]."""
    return float(data.cube.attrs["pixel_scale"])


def kernel_check(data: GalaxyData, band: str | None) -> tuple[xr.Dataset, str, str]:
    """Return how well a band's PSF is matched: the test, and names of the band and the target.

    The kernel is made again, from the PSFs of the settings, as the run made it.

    Raises
    ------
    DataError
        If images were not matched, the band is the target, or the PSF of a band is not among
        the settings: it is matched by a kernel that was given.
    """
    from pxdask.images.kernel_check import check_kernel  # noqa: PLC0415  loads the image code
    from pxdask.images.psf import matching_kernel  # noqa: PLC0415
    from pxdask.survey.inspect import resolved_bands  # noqa: PLC0415

    settings = data.run.config.images
    if not settings.match_psf:
        raise DataError(f"galaxy {data.galaxy!r}: images are not matched: images.match_psf is off")
    bands = {b.name: b for b in resolved_bands(data.row, data.run.config, root=data.run.data_root)}
    known = [name for name, b in bands.items() if b.needed_psf.kernel is None]
    if settings.target_psf is None:
        widths = {name: _psf(data, bands[name])[0].width for name in known}
        target = max(widths, key=lambda name: widths[name])
    else:
        target = settings.target_psf
    name = band or next((n for n in known if n != target), target)
    if name == target:
        raise DataError(f"galaxy {data.galaxy!r}: band {name!r} is the target, it needs no kernel")
    (source, scale), (wanted, _) = (_psf(data, bands[n]) for n in (name, target))
    made = matching_kernel(
        source, wanted, pixel_scale=scale, band=name, method=settings.kernel_method
    )
    return check_kernel(made, source=source, target=wanted, pixel_scale=scale), name, target


def _psf(data: GalaxyData, band: BandConfig) -> tuple[Psf, float]:
    """Return the PSF of a band, and the side of its own pixels [arcsec]."""
    from pxdask.images import Grid, Psf  # noqa: PLC0415  loads the image code
    from pxdask.io.fits import read_header, read_kernel  # noqa: PLC0415

    psf = band.needed_psf
    if psf.kernel is not None:
        raise DataError(
            f"galaxy {data.galaxy!r}: band {band.name!r} is matched by a kernel that was given; its"
            " own PSF, which the test needs, is not known: test it with `pxdask psf check`"
        )
    header = read_header(Path(band.image), band.hdu)
    scale = Grid(header.wcs, header.shape).pixel_scale
    if psf.image is not None:
        image = read_kernel(Path(psf.image))
        return Psf(image=image, pixel_scale=psf.pixel_scale or scale), scale
    shape = {
        name: getattr(psf, name)
        for name in ("fwhm", "shape", "second_fwhm", "second_weight", "beta")
    }
    return Psf(**shape), scale


def _model(data: GalaxyData, number: int, choice: Choice) -> xr.Dataset | None:
    """Return spectra of a bin's models; None where no samples were kept."""
    from pxdask.fitting.components import model_sed  # noqa: PLC0415  loads the models

    if not data.has_samples or not np.isfinite(data.fit["chi2"].values[number]):
        return None
    return model_sed(data.posterior, number, n_draw=choice.n_draw)


def _ring_edges(data: GalaxyData, geometry: Geometry, *, reach: float) -> NDArray[np.float64]:
    """Return ends of rings of equal width out to a multiple of the region's extent [arcsec]."""
    radius = radius_of(data, geometry)
    far = reach * float(np.nanpercentile(radius[_region(data)], 98))
    width = max(far / N_RINGS, pixel_side(data))
    return width * np.arange(max(int(far / width), 1) + 1, dtype=np.float64)


def _region(data: GalaxyData) -> NDArray[np.bool_]:
    """Return the pixels of the galaxy's bins."""
    return np.asarray(data.bins["bin_map"].values >= 0)


def _title(data: GalaxyData, *words: str) -> str:
    """Return the title of a galaxy's figure."""
    return title_of(data.galaxy, data.redshift, *words)


def _entitle(figure: Figure, title: str) -> None:
    """Give a figure that has none a title like the others'."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
