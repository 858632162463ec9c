"""The commands for PSFs as a user meets them."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from typer.testing import CliRunner

from pxdask.cli.psf import app
from pxdask.core.errors import ConfigError, DataError
from pxdask.images.psf import Psf, image_fwhm, matching_kernel
from pxdask.images.psf_shapes import moffat_image
from pxdask.io.kernels import read_psf_file, write_psf_file


@pytest.fixture(autouse=True)
def _terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


def call(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def figure_of(text, name):
    """The number at the end of the line that begins so, without its percent sign."""
    (line,) = (line for line in text.splitlines() if line.startswith(name))
    return float(line.split(":")[-1].replace("%", ""))


def test_check_says_how_well_a_kernel_does_and_draws_it(tmp_path):
    picture = tmp_path / "check.png"
    text = call("check", "sdss:u", "wise:w2", "--pixel-scale", 0.396, "--out", picture).output
    assert "FWHM before 1.5" in text
    assert figure_of(text, "largest difference of profiles") < 0.1
    assert figure_of(text, "sum of the kernel:") == pytest.approx(1.0)
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_check_takes_a_kernel_of_a_folder_on_its_own_pixels(tmp_path):
    kernel = matching_kernel(Psf(fwhm=3.5), Psf(fwhm=6.4), pixel_scale=0.25)
    even = 7 * np.pad(kernel, ((1, 0), (1, 0)))  # an even side, centre at n // 2, another norm
    path = tmp_path / "Kernel_HiRes_Gauss_03.5_to_WISE_FRAME_4.6.fits"
    write_psf_file(path, even, pixel_scale=0.25)
    words = ("2mass:j", "wise:w2", "--pixel-scale", 1.0)
    text = call("check", *words, "--kernels", tmp_path).output
    assert path.name in text
    assert figure_of(text, "largest difference of profiles") < 0.2
    assert call("check", *words, "--kernel", path).output == text.split("\n", 1)[1]


@pytest.mark.parametrize("words", [("kernel", "gaussian:2", "gaussian:3"), ("stars", "image.fits")])
def test_files_are_not_replaced_unasked(tmp_path, words):
    (tmp_path / "there.fits").write_text("mine")
    scale = ("--pixel-scale", 0.5) if words[0] == "kernel" else ()
    with pytest.raises(ConfigError, match=r"there\.fits exists; remove it, or say --overwrite"):
        call(*words, *scale, "--out", tmp_path / "there.fits")
    assert (tmp_path / "there.fits").read_text() == "mine"


def test_kernel_writes_one_with_its_scale(tmp_path):
    file = tmp_path / "k.fits"
    words = ("--pixel-scale", 0.2, "--method", "regularised", "--regularisation", 1e-5)
    text = call("kernel", "moffat:0.8:3", "gaussian:1.6", *words, "--out", file).output
    found = read_psf_file(file)
    assert found.pixel_scale == pytest.approx(0.2)
    expected = matching_kernel(
        Psf(fwhm=0.8, shape="moffat", beta=3.0),
        Psf(fwhm=1.6),
        pixel_scale=0.2,
        method="regularised",
        regularisation=1e-5,
    )
    np.testing.assert_array_equal(found.image, expected)
    assert f"{expected.shape[0]} x {expected.shape[0]} pixels" in text


def test_a_psf_may_be_a_file(tmp_path):
    path = tmp_path / "psf.fits"
    write_psf_file(path, moffat_image(4.0, beta=3.0), pixel_scale=0.2)
    text = call("check", path, "gaussian:2", "--pixel-scale", 0.2).output
    assert "before 0.8" in text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nonsense", "'nonsense' is no PSF"),
        ("gaussian:wide", "is no PSF"),
        ("gaussian:1:2", "too many numbers"),
        ("gaussian:-1", "positive"),
        ("hsc:g", "no default PSF for survey 'hsc'"),
    ],
)
def test_what_is_no_psf_is_refused(source, words):
    with pytest.raises(ConfigError, match=words):
        call("check", source, "wise:w2", "--pixel-scale", 1)


def test_other_mistakes_are_told(tmp_path):
    pair = ("wise:w2", "wise:w2", "--pixel-scale", 1)
    with pytest.raises(ConfigError, match="no method 'fast'; there are auto, window"):
        call("check", *pair, "--method", "fast")
    with pytest.raises(ConfigError, match="needs no kernel"):
        call("kernel", *pair, "--out", tmp_path / "k.fits")
    fits.writeto(tmp_path / "bare.fits", np.ones((3, 3)))
    with pytest.raises(DataError, match="add PIXSCALE"):
        call("check", tmp_path / "bare.fits", *pair[1:])


@pytest.fixture
def field(tmp_path):
    """Twenty-five stars of FWHM 3 pixels on a grid off by fractions of pixels, and the sky."""
    rng = np.random.default_rng(2)
    fine, n = 5, 300
    image = rng.normal(10.0, 1.0, (n, n))
    star = moffat_image(3.0 * fine, beta=3.0, radius=62)
    rows = []
    for k, (i, j) in enumerate((i, j) for i in range(5) for j in range(5)):
        dy, dx = rng.integers(-2, 3, 2)
        row, column, flux = 60 * i + 30, 60 * j + 30, 5e3 * 1.1**k
        shifted = star[12 - dy : 112 - dy + 1, 12 - dx : 112 - dx + 1]
        side = shifted[:100, :100].reshape(20, fine, 20, fine).sum(axis=(1, 3))
        image[row - 10 : row + 10, column - 10 : column + 10] += flux * side
        rows.append((column, row))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [150.0, 2.0], [150, 150]
    wcs.wcs.cdelt = [-0.2 / 3600, 0.2 / 3600]
    path = tmp_path / "field.fits"
    fits.writeto(path, image.astype(np.float32), wcs.to_header())
    return path, wcs, np.array(rows, dtype=float)


def test_stars_make_a_psf(field, tmp_path):
    path, _, _ = field
    file = tmp_path / "psf.fits"
    text = call("stars", path, "--size", 17, "--out", file, "--oversampling", 2).output
    assert text.startswith("25 stars, FWHM 0.6")
    found = read_psf_file(file)
    assert found.image.shape == (17, 17)
    assert found.pixel_scale == pytest.approx(0.2, rel=1e-4)
    # the pixel widens a profile of 3 pixels by about 3 %
    assert image_fwhm(found.image) == pytest.approx(3.1, rel=0.04)


def test_stars_of_a_list(field, tmp_path):
    path, wcs, pixels = field
    file = tmp_path / "psf.fits"
    ra, dec = wcs.all_pix2world(pixels, 0)[:9].T
    Table({"ra": ra, "dec": dec}).write(tmp_path / "sky.ecsv")
    Table({"x": pixels[:9, 0], "y": pixels[:9, 1]}).write(tmp_path / "pixels.csv")
    Table({"a": [1.0]}).write(tmp_path / "neither.ecsv")
    words = (
        "stars",
        path,
        "--size",
        17,
        "--oversampling",
        2,
        "--overwrite",
        "--out",
        file,
        "--list",
    )
    for name in ("sky.ecsv", "pixels.csv"):
        assert call(*words, tmp_path / name).output.startswith("9 stars")
    with pytest.raises(ConfigError, match="columns a; wanted are x and y"):
        call(*words, tmp_path / "neither.ecsv")
    with pytest.raises(DataError, match="cannot read the stars"):
        call(*words, tmp_path / "absent.ecsv")
