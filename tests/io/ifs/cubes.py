"""Tiny cubes in the layouts of the surveys."""

import numpy as np
from astropy.io import fits

SHAPE = (5, 4, 3)
"""Wavelengths, rows, columns."""


def cube_cards(**changes):
    """Cards of a cube of 0.5 arcsec pixels, linear in wavelength; None removes one."""
    cards = {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CTYPE3": "WAVE",
        "CRVAL1": 150.0, "CRVAL2": 0.0, "CRVAL3": 5000.0,
        "CRPIX1": 2.0, "CRPIX2": 2.0, "CRPIX3": 1.0,
        "CUNIT1": "deg", "CUNIT2": "deg", "CUNIT3": "Angstrom",
        "CD1_1": -0.5 / 3600, "CD2_2": 0.5 / 3600, "CD3_3": 2.0,
        **changes,
    }  # fmt: skip
    return {key: value for key, value in cards.items() if value is not None}


def header_of(cards):
    header = fits.Header()
    for key, value in cards.items():
        header[key] = value
    return header


def values(start=1.0):
    """Flux that tells where a value is from: start, start + 1, ... in the order of the file."""
    return (start + np.arange(np.prod(SHAPE), dtype=np.float32)).reshape(SHAPE)


def image(data, name, **cards):
    return fits.ImageHDU(data, header_of(cards), name=name)


def write(path, *hdus):
    fits.HDUList(list(hdus)).writeto(path)
    return str(path)


def psf_image(fwhm):
    """Gaussian of a FWHM [pix], off its centre, with a wing."""
    y, x = np.mgrid[:31, :31]
    sigma = fwhm / np.sqrt(8 * np.log(2))
    r2 = (x - 15.3) ** 2 + (y - 14.8) ** 2
    return np.exp(-r2 / (2 * sigma**2)).astype(np.float32)


def manga(path, *, keywords=True, extra=(), **changes):
    """LOGCUBE: IVAR, MASK, WAVE, SPECRES, and PSFs by keyword or image."""
    ivar = np.full(SHAPE, 4.0, np.float32)
    mask = np.zeros(SHAPE, np.int32)
    ivar[:, 0, 0], mask[:, 0, 0] = 0.0, 1027  # no fibre was here
    mask[2, 1, 1] = 1024
    ivar[3, 1, 1] = 0.0
    ivar[1, 1, 1] = -1.0
    wave = 3621.59598486 * 10 ** (1e-4 * np.arange(SHAPE[0]))
    cards = cube_cards(
        CTYPE3="WAVE-LOG", CRVAL3=wave[0], CD3_3=wave[0] * np.log(10) * 1e-4,
        BUNIT="1E-17 erg/s/cm^2/Ang/spaxel", **changes,
    )  # fmt: skip
    primary = fits.PrimaryHDU()
    primary.header["EBVGAL"] = 0.02
    plane = cube_cards(CTYPE3=None, CRVAL3=None, CRPIX3=None, CUNIT3=None, CD3_3=None)
    if keywords:
        primary.header.update({"GFWHM": 2.6, "RFWHM": 2.5, "IFWHM": 2.4, "ZFWHM": 2.3})
    psfs = [] if keywords else [image(psf_image(5.0), f"{b}PSF", **plane) for b in "GRIZ"]
    return write(
        path, primary, image(values(), "FLUX", **cards), image(ivar, "IVAR", **cards),
        image(mask, "MASK", **cards), image(wave, "WAVE"),
        image(np.full(SHAPE[0], 2000.0), "SPECRES"), *psfs, *extra,
    )  # fmt: skip


def califa(path, *, step=2.0, bunit=None, **changes):
    """Rscube: the primary, ERROR, ERRWEIGHT, BADPIX, FIBCOVER; CDELT3, wavelengths in air."""
    error = np.full(SHAPE, 0.5, np.float32)
    error[0, 2, 2] = 0.0
    bad = np.zeros(SHAPE, np.uint8)
    bad[:, 3, 2] = 1
    cards = cube_cards(CTYPE3="AWAV", CRVAL3=3701.0, CD3_3=None, CDELT3=step, BUNIT=bunit)
    cards = {**cards, **changes}
    cover = np.full(SHAPE[1:], 3, np.uint8)
    return write(
        path, fits.PrimaryHDU(values(), header_of(cards)), image(error, "ERROR"),
        image(np.ones(SHAPE, np.float32), "ERRWEIGHT"), image(bad, "BADPIX"),
        image(cover, "FIBCOVER"),
    )  # fmt: skip


def muse(path, **changes):
    """DATA and STAT, the latter a variance with a negative value; NaN where there is nothing."""
    flux, variance = values(), np.full(SHAPE, 9.0, np.float32)
    flux[:, 0, 0] = variance[:, 0, 0] = np.nan
    variance[1, 1, 1], variance[1, 1, 2] = -9.0, np.inf
    own = {"CRVAL3": 4750.0, "CD3_3": 1.25, "CTYPE3": "AWAV"}
    cards = cube_cards(**own | {"BUNIT": "10**(-20)*erg/s/cm**2/Angstrom"} | changes)
    primary = fits.PrimaryHDU()
    primary.header["INSTRUME"] = "MUSE"
    return write(path, primary, image(flux, "DATA", **cards), image(variance, "STAT", **cards))


def sami(path, *, start=3700.0, **changes):
    """Primary, VARIANCE, WEIGHT, COVAR, DUST; a PLATEID that confuses WCS readers."""
    flux = values()
    flux[:, 0, :] = np.nan
    near = np.zeros((2, 5, 5, *SHAPE[1:]))
    near[:, 2, 2] = 1.0
    near[:, 2, 1] = near[:, 2, 3] = 0.25
    cards = cube_cards(
        CTYPE3="Wavelength", CUNIT3="Angstroms", CRVAL3=start, CD3_3=None, CDELT3=1.04,
        BUNIT="10**(-16) erg /s /cm**2 /angstrom /pixel", PLATEID="Y14SAR3_P004", PSFFWHM=1.77,
    )  # fmt: skip
    return write(
        path, fits.PrimaryHDU(flux, header_of({**cards, **changes})),
        image(np.full(SHAPE, 0.04, np.float32), "VARIANCE"),
        image(np.ones(SHAPE, np.float32), "WEIGHT"), image(near, "COVAR"),
        image(np.ones(SHAPE[0]), "DUST", EBVSFD98=0.031, EBVPLNCK=0.028),
    )  # fmt: skip


def nirspec(path, *, grating="G235M", table=False, **changes):
    """SCI, ERR, DQ, WMAP in MJy/sr and micron; wavelengths linear or in a table."""
    flux, quality = values(), np.zeros(SHAPE, np.uint32)
    quality[:, 0, 0], flux[:, 0, 0] = 513, 0.0
    quality[2, 1, 1] = 1
    quality[2, 1, 2] = 4  # a jump that was corrected: good
    cards = cube_cards(
        CRVAL3=2.0, CUNIT3="um", CD1_1=None, CD2_2=None, CD3_3=None,
        CDELT1=-0.1 / 3600, CDELT2=0.1 / 3600, CDELT3=0.001, PC3_3=1.0, BUNIT="MJy/sr",
    )  # fmt: skip
    extra = []
    if table:
        cards |= {"CTYPE3": "WAVE-TAB", "PS3_0": "WCS-TABLE", "PS3_1": "wavelength"}
        wave = np.array([[[2.0], [2.1], [2.3], [2.6], [3.0]]], np.float32)
        column = fits.Column("wavelength", "5E", dim="(1,5)", array=wave)
        extra.append(fits.BinTableHDU.from_columns([column], name="WCS-TABLE"))
    primary = fits.PrimaryHDU()
    primary.header.update({"TELESCOP": "JWST", "INSTRUME": "NIRSPEC", "GRATING": grating})
    return write(
        path, primary, image(flux, "SCI", **{**cards, **changes}),
        image(np.full(SHAPE, 0.5, np.float32), "ERR"), image(quality, "DQ"),
        image(np.ones(SHAPE, np.float32), "WMAP"), *extra,
    )  # fmt: skip


def generic(path, *hdus, **changes):
    """A cube in the primary, no survey's."""
    cards = cube_cards(BUNIT="erg/s/cm2/Angstrom")
    cards = {key: value for key, value in {**cards, **changes}.items() if value is not None}
    return write(path, fits.PrimaryHDU(values(), header_of(cards)), *hdus)


KINDS = {
    "manga": manga,
    "califa": califa,
    "muse": muse,
    "sami": sami,
    "nirspec": nirspec,
    "generic": generic,
}
"""Writers of each kind."""
