"""Settings of integral-field cubes that join a galaxy's images."""

from __future__ import annotations

from typing import Literal

from pxdask.core.settings import TEXT, Arcsec, Settings, setting

IfsKind = Literal["auto", "califa", "manga", "muse", "sami", "nirspec", "generic"]


class MatchConfig(Settings):
    """How the light of spectra is brought to that of the images."""

    enabled: bool = setting(default=True, unit=TEXT, about="bring spectra to the images' fluxes")
    order: int = setting(3, unit=TEXT, about="Legendre order of the factor", ge=0, le=15)
    line_half_width: float = setting(
        10.0, unit="Angstrom", about="rest-frame half-width of what is left out at a line", gt=0
    )
    lsf_fwhm: float | None = setting(
        None, unit="Angstrom", about="width the models are smoothed to; default: the cube's", gt=0
    )
    systematic_error: float = setting(
        0.05, unit=TEXT, about="error of photometry for the choice of model, of flux", ge=0
    )
    n_best: int = setting(
        8, unit=TEXT, about="best models that are averaged, by likelihood; 1: the best alone",
        ge=1, le=64,
    )  # fmt: skip


class IfsConfig(Settings):
    """An integral-field cube, brought to the images' resolution and grid."""

    path: str = setting(unit=TEXT, about="FITS file, with {id} and {data_root}")
    kind: IfsKind = setting("auto", unit=TEXT, about="survey or instrument; auto: by its header")
    psf_fwhm: Arcsec | None = setting(
        None,
        unit="arcsec",
        about="width of the PSF; default: the file's, else typical of the survey",
        gt=0,
    )
    lsf_fwhm: float | None = setting(
        None, unit="Angstrom", about="width of the LSF; default: the file's or the survey's", gt=0
    )
    smooth_to: float | None = setting(
        None,
        unit="Angstrom",
        about="LSF that spectra are smoothed to; default: left as they are",
        gt=0,
    )
    air: bool | None = setting(
        None, unit=TEXT, about="whether wavelengths are in air; default: by the file"
    )
    extinction: bool | None = setting(
        None, unit=TEXT, about="correct for the Milky Way's dust; default: unless it was done"
    )
    wave_range: tuple[float, float] | None = setting(
        None, unit="Angstrom", about="observed wavelengths that are used, in vacuum; default: all"
    )
    min_coverage: float = setting(
        0.9, unit=TEXT, about="part of a pixel that the footprint must cover", gt=0, le=1
    )
    noise_area: float | None = setting(
        None, unit="pix", about="the cube's pixels over which noise is correlated; default: by kind"
    )
    chunk: int = setting(64, unit=TEXT, about="wavelengths brought to the grid by one task", gt=0)
    match: MatchConfig = setting(MatchConfig(), unit=TEXT, about="matching to the images' light")
