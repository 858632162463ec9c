import numpy as np
import pytest

from pxdask.core.errors import DataError
from pxdask.images.isophotes import measured_ellipse
from pxdask.images.shapes import sky_offsets
from tests.images.skies import DEC, RA, grid, stars

PEAK, LENGTH = 100.0, 3.0  # uJy per pixel, arcsec


def disc(on, *, position_angle, ratio):
    """An exponential disc on any grid [uJy per pixel]."""
    sky = sky_offsets(on.to_wcs(), on.shape, ra=RA, dec=DEC)
    along, across = sky.along(position_angle)
    radius = np.hypot(along, across / ratio)
    return PEAK * np.exp(-radius / LENGTH)


def measure(flux, on, *, limit=2.0, bad=None, segment=None):
    segment = flux > limit if segment is None else segment
    bad = np.zeros(flux.shape, dtype=bool) if bad is None else bad
    return measured_ellipse(flux, segment, bad=bad, limit=limit, wcs=on.to_wcs())


@pytest.mark.parametrize(
    ("angle", "flip", "position_angle", "ratio"),
    [(0.0, False, 30.0, 0.5), (0.7, True, 120.0, 0.4), (2.0, False, 150.0, 0.7)],
)
def test_a_disc_gives_its_ellipse_back(angle, flip, position_angle, ratio):
    on = grid(0.5, 101, angle=angle, flip=flip)
    truth = disc(on, position_angle=position_angle, ratio=ratio)
    noisy = truth + np.random.default_rng(3).normal(0, 1, truth.shape)
    got = measure(noisy, on, segment=truth > 2.0)
    assert got.source == "isophote"
    # The limit is met at 3 ln(50) = 11.7 arcsec; the mean of 70 pixels there is good to 0.12 of
    # 2 uJy, which is 0.18 arcsec.
    assert got.semi_major == pytest.approx(LENGTH * np.log(50.0), abs=0.5)
    assert got.semi_minor / got.semi_major == pytest.approx(ratio, abs=0.05)
    assert (got.angle - position_angle + 90) % 180 - 90 == pytest.approx(0.0, abs=4.0)
    assert np.hypot(got.ra - RA, got.dec - DEC) * 3600 < 0.2


def test_large_galaxies_are_measured_in_blocks():
    on = grid(0.05, 501)
    flux = disc(on, position_angle=60.0, ratio=0.6)
    got = measure(flux, on, limit=4.0, segment=flux > 4.0)
    assert got.source == "isophote"
    assert got.semi_major == pytest.approx(LENGTH * np.log(25.0), rel=0.02)
    assert got.semi_minor / got.semi_major == pytest.approx(0.6, abs=0.02)
    assert got.angle == pytest.approx(60.0, abs=1.0)


def test_neighbours_do_not_pull():
    on = grid(0.5, 101)
    truth = disc(on, position_angle=0.0, ratio=0.5)
    neighbour = stars(on, fwhm=2.0, positions=[(6.0, 3.0)], fluxes=[2000.0])
    bad = neighbour > 1.0
    got = measure(truth + neighbour, on, segment=(truth > 2.0) & ~bad, bad=bad)
    assert got.source == "isophote"
    assert got.semi_minor / got.semi_major == pytest.approx(0.5, abs=0.08)
    assert (got.angle + 90) % 180 - 90 == pytest.approx(0.0, abs=6.0)


def test_what_has_no_isophotes_has_moments():
    on = grid(0.5, 41)
    flux = np.full(on.shape, 5.0)  # no gradient
    segment = np.zeros(on.shape, dtype=bool)
    segment[14:27, 18:23] = True  # 13 x 5 pixels, north-south
    got = measure(flux, on, segment=segment)
    assert got.source == "moments"
    # A row of n pixels has a variance of n^2 / 12; a uniform ellipse of a^2 / 4.
    assert got.semi_major == pytest.approx(2 * 13 / np.sqrt(12) * 0.5, rel=1e-3)
    assert got.semi_minor == pytest.approx(2 * 5 / np.sqrt(12) * 0.5, rel=1e-3)
    assert (got.angle + 90) % 180 - 90 == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_tiny_segments_have_an_ellipse(side):
    on = grid(0.5, 15)
    segment = np.zeros(on.shape, dtype=bool)
    segment[7 : 7 + side, 7 : 7 + side] = True
    got = measure(np.where(segment, 5.0, 0.0), on, segment=segment)
    assert 0.2 < got.semi_minor <= got.semi_major < 2.0


def test_missing_and_masked_pixels_are_no_hindrance():
    on = grid(0.5, 61)
    flux = disc(on, position_angle=90.0, ratio=0.6)
    flux[:, 40:] = np.nan
    flux[5, 5] = np.inf
    got = measure(flux, on, segment=np.nan_to_num(flux, posinf=0) > 5.0, limit=5.0)
    assert np.isfinite([got.semi_major, got.semi_minor, got.angle, got.ra, got.dec]).all()
    nothing = np.full(on.shape, np.nan)
    segment = np.zeros(on.shape, dtype=bool)
    segment[20:30, 20:30] = True
    assert measure(nothing, on, segment=segment).source == "moments"
    with pytest.raises(DataError, match="no pixel"):
        measure(flux, on, segment=np.zeros(on.shape, dtype=bool))
