"""Images as they should not be, through the whole path: header, raw, stage.

The sky is the same always: two stars about the galaxy. Whatever pixels they are delivered on,
they must come out on the common grid at their place and with their flux.
"""

import gzip

import numpy as np
import pytest
from astropy.coordinates import FK4, FK5, SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS, Sip
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import center_of_mass

from pxdask.core.config import ImageConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag
from pxdask.images import ImageStage, Psf
from pxdask.images.psf import gaussian_kernel
from pxdask.images.shapes import sky_offsets
from pxdask.io.fits import read_header
from pxdask.io.raw import read_raw
from tests.images.skies import DEC, RA, band, grid

GALAXY = {"id": "g1", "ra": RA, "dec": DEC}
ON = grid(0.5, 61)
TRUE = {(0.0, 0.0): 100.0, (7.0, -4.0): 40.0}  # east, north [arcsec]: flux [uJy]
FWHM = 2.0
FLUX_TOLERANCE = 0.003  # seen: 0.0015, of stars 4 to 10 pixels wide, sampled at pixel centres
PLACE_TOLERANCE = 0.02  # pixels of 0.5 arcsec


def source_wcs(*, scale=0.3, n=120, angle=0.0, flip=False, frame=None):
    """A WCS about the galaxy, in ICRS unless a frame is given."""
    centre = SkyCoord(RA, DEC, unit="deg").transform_to("icrs" if frame is None else frame)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [centre.ra.deg, centre.dec.deg]
    wcs.wcs.crpix = [(n + 1) / 2 + 3, (n + 1) / 2 - 2]
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[-cos, sin], [sin, cos]]) * scale / 3600
    wcs.wcs.cd = matrix @ np.diag([-1.0, 1.0]) if flip else matrix
    if frame is not None:
        wcs.wcs.radesys = frame.name.upper()
        wcs.wcs.equinox = frame.equinox.byear if frame.name == "fk4" else frame.equinox.jyear
    return wcs


def observed(wcs, shape=(120, 120)):
    """The stars on any pixels: brightness at the pixel's centre times the pixel's own area."""
    sky = sky_offsets(wcs, shape, ra=RA, dec=DEC)
    (east_y, east_x), (north_y, north_x) = np.gradient(sky.east), np.gradient(sky.north)
    area = np.abs(east_x * north_y - east_y * north_x)
    sigma = FWHM / 2.3548200450309493
    image = np.zeros(shape)
    for (east, north), flux in TRUE.items():
        square = (sky.east - east) ** 2 + (sky.north - north) ** 2
        image += flux / (2 * np.pi * sigma**2) * area * np.exp(-square / (2 * sigma**2))
    return image


def write(path, image, wcs, *, unit="uJy", sigma=0.01, **cards):
    """Write image and error as extensions SCI and ERR behind an empty primary."""
    header = wcs.to_header(relax=True)
    if unit is not None:
        header["BUNIT"] = unit
    header.update(cards)
    hdus = [
        fits.PrimaryHDU(),
        fits.ImageHDU(image, header, name="SCI"),
        fits.ImageHDU(np.full(image.shape, sigma, "f4"), header, name="ERR"),
    ]
    fits.HDUList(hdus).writeto(path)
    return path


def process(path, *, on=ON, hdu="SCI", err="ERR", err_path=None, target=None, config=None, **how):
    """The band in a file on the common grid."""
    values = {
        "image": str(path),
        "hdu": hdu,
        "uncertainty": {"path": str(err_path or path), "hdu": err},
        **how,
    }
    settings = band(fwhm=FWHM, **values)
    raw = read_raw(settings, read_header(settings.image, settings.hdu))
    stage = ImageStage(settings, config or ImageConfig(), on, target, 6166.0)
    return stage.run(GALAXY, raw=raw)


def require_stars(image, *, on=ON, flux_tolerance=FLUX_TOLERANCE):
    """Both stars have their flux and their place."""
    flux = image["flux"].values[0].astype(float)
    assert np.nansum(flux) == pytest.approx(sum(TRUE.values()), rel=flux_tolerance)
    sky = sky_offsets(on.to_wcs(), on.shape, ra=RA, dec=DEC)
    for (east, north), expected in TRUE.items():
        near = np.hypot(sky.east - east, sky.north - north) < 3.5
        light = np.where(near, np.nan_to_num(flux), 0.0)
        assert light.sum() == pytest.approx(expected, rel=2 * flux_tolerance + 0.003)
        y, x = center_of_mass(light)
        index = np.rint([y, x]).astype(int)
        here = sky.east[tuple(index)], sky.north[tuple(index)]
        # north is up and east at small x on the common grid
        found = (here[0] - (x - index[1]) * 0.5, here[1] + (y - index[0]) * 0.5)
        assert np.hypot(found[0] - east, found[1] - north) < PLACE_TOLERANCE * 0.5


@pytest.mark.parametrize("method", ["exact", "adaptive"])
@pytest.mark.parametrize(
    ("angle", "flip"), [(0.0, True), (0.6, False), (2.5, True), (-1.57, False)]
)
def test_turned_and_mirrored_images(tmp_path, angle, flip, method):
    wcs = source_wcs(angle=angle, flip=flip)
    path = write(tmp_path / "a.fits", observed(wcs), wcs)
    require_stars(process(path, config=ImageConfig(reproject=method)))


@given(angle=st.floats(-3.1, 3.1), flip=st.booleans())
def test_sky_coordinates_survive_the_header(tmp_path_factory, angle, flip):
    wcs = source_wcs(angle=angle, flip=flip)
    path = write(tmp_path_factory.mktemp("f") / "a.fits", np.ones((8, 8), "f4"), wcs)
    read = WCS(read_header(path, "SCI").wcs, fix=False)
    for x, y in ((0.0, 0.0), (100.0, 20.0)):
        np.testing.assert_allclose(
            read.pixel_to_world_values(x, y), wcs.pixel_to_world_values(x, y), atol=1e-9
        )


def test_distorted_images(tmp_path):
    wcs = source_wcs(angle=0.3)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[2, 0], a[1, 1], b[0, 2], b[3, 0] = 3e-4, -2e-4, 4e-4, 2e-6  # 3 pixels in the corners
    wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    path = write(tmp_path / "a.fits", observed(wcs), wcs)
    header = read_header(path, "SCI")
    assert "A_2_0" in header.wcs
    require_stars(process(path))
    # the test can tell: without its distortion the second star is 0.3 pixels away
    plain = source_wcs(angle=0.3)
    write(tmp_path / "b.fits", observed(wcs), plain)
    with pytest.raises(AssertionError):
        require_stars(process(tmp_path / "b.fits"))


@pytest.mark.parametrize(
    "frame", [FK5(equinox=Time("J1975")), FK4(equinox=Time("B1950"))], ids=["J1975", "B1950"]
)
def test_other_equinoxes(tmp_path, frame):
    wcs = source_wcs(frame=frame)
    moved = SkyCoord(RA, DEC, unit="deg").transform_to(frame)
    assert abs(moved.ra.deg - RA) > 0.2  # degrees of precession: a WCS taken for ICRS fails
    path = write(tmp_path / "a.fits", observed(wcs), wcs)
    require_stars(process(path))


def test_an_equinox_alone_tells_the_frame(tmp_path):
    """EQUINOX before 1984 without RADESYS is FK4: Calabretta & Greisen 2002, section 3.1."""
    wcs = source_wcs(frame=FK4(equinox=Time("B1950")))
    path = write(tmp_path / "a.fits", observed(wcs), wcs)
    with fits.open(path, mode="update") as hdus:
        del hdus["SCI"].header["RADESYS"]
        assert hdus["SCI"].header["EQUINOX"] == 1950.0
    require_stars(process(path))


def test_nan_edges_are_flagged_and_cost_no_flux(tmp_path):
    wcs = source_wcs(angle=0.2)
    image = observed(wcs)
    image[:, :22] = np.nan  # 12 arcsec east: part of the stamp, no part of the stars
    done = process(write(tmp_path / "a.fits", image, wcs), target=Psf(fwhm=2.2))
    require_stars(done)
    flux, flags = done["flux"].values[0], done["flags"].values[0]
    blank = ~np.isfinite(flux)
    assert 100 < blank.sum() < 0.3 * blank.size
    assert np.all(flags[blank] & int(Flag.NO_DATA))
    assert not np.any(flags[~blank] & int(Flag.NO_DATA))
    # next to the blank part light is missing that the kernel would have brought
    edge = (flags & int(Flag.EDGE)) > 0
    assert edge.any()
    assert not edge[28:33, 28:33].any()
    assert np.all(np.isfinite(done["flux_err"].values[0][~blank]))


@pytest.mark.parametrize("kind", [">i2", ">i4", "u2"])
def test_scaled_integers(tmp_path, kind):
    wcs = source_wcs()
    image = observed(wcs)
    step = image.max() / 20000
    hdu = fits.PrimaryHDU(np.round(image / step).astype("f8"), wcs.to_header(relax=True))
    if kind == "u2":
        hdu.data = np.round(image / step).astype("u2")  # stored as i2 with BZERO 32768
        factor = step
    else:
        hdu.data = hdu.data * step
        hdu.scale(
            kind.lstrip(">").replace("i", "int").replace("2", "16").replace("4", "32"),
            bscale=step,
            bzero=3 * step,
        )
        factor = 1.0
    hdu.header["BUNIT"] = "uJy"
    hdu.writeto(tmp_path / "a.fits")
    fits.writeto(tmp_path / "e.fits", np.full(image.shape, 0.01, ">f8"))
    with fits.open(tmp_path / "a.fits", do_not_scale_image_data=True) as hdus:
        assert hdus[0].header["BITPIX"] > 0
        assert hdus[0].header["BZERO"] != 0
        assert hdus[0].data.dtype.byteorder == ">"
    done = process(tmp_path / "a.fits", hdu=0, err_path=tmp_path / "e.fits", err=0)
    done["flux"].values[:] *= factor
    # rounding to a 20000th of the peak, in 14 000 pixels: below 1e-4 of the total
    require_stars(done)


@pytest.mark.parametrize("suffix", [".fits.gz", ".fits.fz", "rice.fits.fz"])
def test_compressed_images(tmp_path, suffix):
    wcs = source_wcs(angle=0.4)
    image = observed(wcs).astype("f4")
    plain, path = tmp_path / "plain.fits", tmp_path / f"a{suffix}"
    write(plain, image, wcs)
    if suffix.endswith(".gz"):
        path.write_bytes(gzip.compress(plain.read_bytes()))
    else:
        options = (
            {"compression_type": "RICE_1", "quantize_level": -1e-4}  # steps of 1e-4 uJy
            if suffix.startswith("rice")
            else {"compression_type": "GZIP_2", "quantize_level": 0.0}  # lossless
        )
        with fits.open(plain) as hdus:
            parts = [
                fits.CompImageHDU(hdus[name].data, hdus[name].header, name=name, **options)
                for name in ("SCI", "ERR")
            ]
            fits.HDUList([fits.PrimaryHDU(), *parts]).writeto(path)
    done, expected = process(path), process(plain)
    require_stars(done)
    tolerance = 2e-4 if suffix.startswith("rice") else 0.0
    np.testing.assert_allclose(done["flux"], expected["flux"], rtol=0, atol=tolerance)
    assert read_header(path, "SCI").wcs == read_header(plain, "SCI").wcs


def test_extensions_by_name_and_number(tmp_path):
    wcs = source_wcs()
    path = write(tmp_path / "a.fits", observed(wcs), wcs)
    by_name = process(path)
    for hdu, err in ((1, 2), (0, 2), (1, "ERR")):  # 0: the empty primary gives way
        np.testing.assert_array_equal(process(path, hdu=hdu, err=err)["flux"], by_name["flux"])
    with pytest.raises(DataError, match=r"no HDU 'WHT'; it has .*SCI.*ERR"):
        process(path, err="WHT")
    with pytest.raises(DataError, match=r"no HDU 7; it has .*SCI"):
        process(path, hdu=7)


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("m", "not one of brightness"),
        ("adu", "zero_point"),
        ("MJy/str", "MJy/str"),
        (None, "BUNIT"),
    ],
)
def test_wrong_units_are_faults_of_the_configuration(tmp_path, unit, message):
    wcs = source_wcs()
    path = write(tmp_path / "a.fits", observed(wcs), wcs, unit=unit)
    with pytest.raises(ConfigError, match=message):
        process(path)
    require_stars(process(path, unit="uJy"))  # what the user gives goes before the header


def test_pixels_of_other_units_and_sizes_give_the_same_flux(tmp_path):
    wcs = source_wcs(scale=0.4)
    area = (0.4 / 206264.80624709636) ** 2  # sr
    path = write(tmp_path / "a.fits", observed(wcs) * 1e-12 / area, wcs, unit="MJy/sr", sigma=1.0)
    require_stars(process(path))


@pytest.mark.parametrize(
    "fault", ["even", "unnormalised", "even and unnormalised", "negative wings"]
)
def test_kernels_that_are_not_as_they_should_be(tmp_path, fault):
    wcs = source_wcs()
    kernel = gaussian_kernel(6.0)
    if "even" in fault:  # centred on pixel n // 2, as Fourier codes have it
        kernel = np.pad(kernel, [(1, 0), (1, 0)])
        assert kernel.shape[0] % 2 == 0
    if "unnormalised" in fault:
        kernel = kernel * 37.0
    if "wings" in fault:
        kernel = kernel - 0.05 * gaussian_kernel(6.0).max() * (kernel < 1e-3 * kernel.max())
    fits.writeto(tmp_path / "k.fits", kernel.astype(">f4"))
    path = write(tmp_path / "a.fits", observed(wcs), wcs)
    target = Psf(fwhm=np.hypot(FWHM, 6.0 * 0.3))
    done = process(path, target=target, psf={"kernel": str(tmp_path / "k.fits")})
    flux = done["flux"].values[0].astype(float)
    # A kernel conserves flux whatever its shape; its edges lose what leaves the stamp.
    inside = 0.03 if "wings" in fault else FLUX_TOLERANCE
    assert np.nansum(flux) == pytest.approx(140.0, rel=inside)
    y, x = np.unravel_index(np.nanargmax(flux), flux.shape)
    assert (y, x) == (30, 30)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (np.zeros((5, 5)), "sum"),
        (np.full((5, 5), np.nan), "finite"),
        (-np.ones((3, 3)), "sum"),
        (np.ones((2, 5, 5)), "shape"),
    ],
)
def test_kernels_that_are_none(tmp_path, kernel, message):
    wcs = source_wcs()
    fits.writeto(tmp_path / "k.fits", kernel)
    path = write(tmp_path / "a.fits", observed(wcs), wcs)
    with pytest.raises(DataError, match=message):
        process(path, target=Psf(fwhm=3.0), psf={"kernel": str(tmp_path / "k.fits")})


@pytest.mark.parametrize("what", ["negative sigma", "zero weight", "nan"])
def test_pixels_without_errors_are_flagged_not_used(tmp_path, what):
    wcs = source_wcs()
    image = observed(wcs)
    sigma = np.full(image.shape, 0.01)
    sigma[:10] = {"negative sigma": -1.0, "zero weight": 0.0, "nan": np.nan}[what]
    kind = "weight" if "weight" in what else "sigma"
    if kind == "weight":
        sigma = np.where(sigma > 0, sigma**-2, 0.0) if what != "zero weight" else sigma * 1e6
    write(tmp_path / "a.fits", image, wcs)
    fits.writeto(tmp_path / "e.fits", sigma)
    settings = {"path": str(tmp_path / "e.fits"), "kind": kind}
    done = process(tmp_path / "a.fits", uncertainty=settings)
    require_stars(done)
    flags = done["flags"].values[0]
    assert np.any(flags & int(Flag.NO_ERROR | Flag.NO_DATA))
    assert not np.any(flags[20:40, 20:40])
