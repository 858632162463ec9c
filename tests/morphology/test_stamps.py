import numpy as np
import pytest
import xarray as xr

from pxdask.core.config import ImageConfig, MorphologyConfig, RegionConfig
from pxdask.core.errors import DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.schema import IMAGE, STAMP
from pxdask.images import ImageStage
from pxdask.morphology.stamps import (
    block_sums,
    make_stamps,
    region_radius,
    segment_radius,
    stamps_of_cube,
)
from tests.images.skies import DEC, RA, band, grid, raw, stars

GALAXY = {"id": "g1", "ra": RA, "dec": DEC}
REGION = RegionConfig()


def blurred(on, *, extra=(), seed=1, noise=0.01, fwhm=1.0):
    """A round galaxy of FWHM 3 arcsec at RA, DEC, and stars (east, north, flux), with noise."""
    image = stars(on, fwhm=3.0, positions=[(0.0, 0.0)], fluxes=[100.0])
    for east, north, flux in extra:
        image += stars(on, fwhm=fwhm, positions=[(east, north)], fluxes=[flux])
    return image + np.random.default_rng(seed).normal(0, noise, on.shape)


def bands_of(**images):
    """Stages and raw datasets of images (grid, image, error, fwhm) by band."""
    stages, raws = {}, {}
    for i, (name, (on, image, error, fwhm)) in enumerate(images.items()):
        stages[name] = ImageStage(band(name=name), ImageConfig(), on, None, 4000.0 + 1000 * i)
        raws[name] = raw(on, image, error, fwhm=fwhm)
    return stages, raws


def made(stages, raws, *, radius=5.0, region=REGION, stars=(), **changes):
    config = MorphologyConfig(**changes)
    return make_stamps(
        stages, GALAXY, raws, radius=radius, config=config, region=region, stars=stars
    )


def at(stamp, east, north):
    """Row and column of an offset from the galaxy [arcsec]."""
    from pxdask.images.grid import Grid, position

    wcs = Grid(stamp.attrs["wcs"], stamp["flux"].shape).to_wcs()
    ra = RA + east / 3600 / np.cos(np.radians(DEC))
    x, y = position(wcs, ra=ra, dec=DEC + north / 3600)
    return round(y), round(x)


def test_stamps_of_bands_of_unlike_pixels_cover_the_same_sky():
    fine, coarse = grid(0.2, 200, angle=0.3), grid(0.5, 81)
    stages, raws = bands_of(
        g=(fine, blurred(fine), 0.01, 0.8), r=(coarse, blurred(coarse), 0.01, 1.5)
    )
    found = made(stages, raws, radius=4.0, stamp=2.0)
    sizes = {name: stamp["flux"].shape[0] for name, stamp in found.bands.items()}
    assert sizes == {"g": 80, "r": 32}
    for stamp in found.bands.values():
        STAMP.validate(stamp)
        assert not stamp["masked"].values[at(stamp, 0.0, 0.0)]
        # nothing is masked but noise, of which 3 sigma in 10 connected pixels is none
        assert not stamp["masked"].values.any()


def test_a_large_galaxy_is_cut_in_the_band_whose_pixels_are_small():
    fine, coarse = grid(0.2, 200), grid(0.5, 81)
    stages, raws = bands_of(
        g=(fine, blurred(fine), 0.01, 0.8), r=(coarse, blurred(coarse), 0.01, 1.5)
    )
    found = made(stages, raws, radius=8.0, max_side=64)
    sizes = {name: stamp["flux"].shape[0] for name, stamp in found.bands.items()}
    assert sizes == {"g": 64, "r": 64}


def test_a_point_source_s_stamp_holds_its_psf():
    on = grid(0.2, 100)
    stages, raws = bands_of(g=(on, blurred(on), 0.01, 2.0))
    assert made(stages, raws, radius=0.1).bands["g"].sizes["x"] == 2 * 3.0 * 2.0 / 0.2


def test_a_neighbour_is_masked_in_all_bands_though_one_sees_it():
    on = grid(0.3, 101)
    bright = blurred(on, extra=[(6.0, 3.0, 20.0)])
    faint = blurred(on, seed=2, noise=0.1)
    stages, raws = bands_of(g=(on, faint, 0.1, 1.0), r=(on, bright, 0.01, 1.0))
    for stamp in made(stages, raws).bands.values():
        assert stamp["masked"].values[at(stamp, 6.0, 3.0)]
        assert not stamp["masked"].values[at(stamp, 0.0, 0.0)]
        assert not stamp["masked"].values[at(stamp, -6.0, -3.0)]
        assert stamp["masked"].values.mean() < 0.05


def test_clumps_of_a_galaxy_in_one_band_stay_its_own():
    on = grid(0.3, 101)
    clumps = stars(on, fwhm=1.0, positions=[(1.8, 0.0), (-1.8, 0.0), (0.0, 1.8)], fluxes=[4, 4, 4])
    clumps += np.random.default_rng(3).normal(0, 0.02, on.shape)
    stages, raws = bands_of(fuv=(on, clumps, 0.02, 1.0), r=(on, blurred(on), 0.01, 1.0))
    alone = made({"fuv": stages["fuv"]}, {"fuv": raws["fuv"]}).bands["fuv"]
    assert alone["masked"].values.any()  # by itself the band takes clumps for other sources
    assert not made(stages, raws).bands["fuv"]["masked"].values.any()


def test_the_brightest_neighbours_are_left_to_be_modelled():
    on = grid(0.3, 121)
    others = [(7.0, 2.0, 30.0), (-6.0, 5.0, 10.0), (1.0, -8.0, 5.0)]
    stages, raws = bands_of(
        g=(on, blurred(on, extra=others, seed=5), 0.01, 1.0),
        r=(on, blurred(on, extra=others), 0.01, 1.0),
    )
    found = made(stages, raws, radius=6.0, neighbours="model", max_neighbours=2)
    seen = [
        ((one.ra - RA) * 3600 * np.cos(np.radians(DEC)), (one.dec - DEC) * 3600, one.radius)
        for one in found.neighbours
    ]
    # middles are right to half a pixel; a segment ends where the star falls to 3 sigma
    sigma = 1.0 / 2.3548
    for (east, north, radius), (x, y, total) in zip(seen, others, strict=False):
        peak = total * 0.3**2 / (2 * np.pi * sigma**2)
        assert east == pytest.approx(x, abs=0.15)
        assert north == pytest.approx(y, abs=0.15)
        assert radius == pytest.approx(sigma * np.sqrt(2 * np.log(peak / 0.03)), abs=0.45)
    assert len(seen) == 2
    for stamp in found.bands.values():
        assert not stamp["masked"].values[at(stamp, 7.0, 2.0)]
        assert not stamp["masked"].values[at(stamp, -6.0, 5.0)]
        assert stamp["masked"].values[at(stamp, 1.0, -8.0)]


def test_stars_are_masked_by_their_circles():
    on = grid(0.3, 101)
    stages, raws = bands_of(g=(on, blurred(on), 0.01, 1.0))
    star = (RA, DEC + 5 / 3600, 2.0)
    stamp = made(stages, raws, stars=(star,)).bands["g"]
    area = stamp["masked"].values.sum() * 0.3**2
    assert area == pytest.approx(np.pi * 2.0**2, rel=0.05)


def test_a_band_that_is_all_masked_is_told():
    on = grid(0.3, 60)
    stages, raws = bands_of(g=(on, blurred(on), 0.01, 1.0))
    with pytest.raises(DataError, match=r"'g1', band 'g': all .* masked"):
        made(stages, raws, stars=((RA, DEC, 60.0),))


def cube_of(images, on, *, fwhm=1.5, noise_area=9.0, region=None):
    n = on.shape
    flags = np.zeros((len(images), *n), np.uint16)
    return xr.Dataset(
        {
            "flux": (("band", "y", "x"), np.stack(images).astype("f4"), IMAGE.attrs("flux")),
            "flux_err": (
                ("band", "y", "x"),
                np.full((len(images), *n), 0.01, "f4"),
                IMAGE.attrs("flux_err"),
            ),
            "flags": (("band", "y", "x"), flags, {**IMAGE.attrs("flags"), **flag_attrs()}),
            "psf_fwhm": ("band", [fwhm] * len(images), IMAGE.attrs("psf_fwhm")),
            "noise_area": ("band", [noise_area] * len(images), IMAGE.attrs("noise_area")),
            "region": (("y", "x"), region, IMAGE.attrs("region")),
        },
        coords={
            "band": ("band", np.array(["g", "r"], dtype=object), IMAGE.attrs("band")),
            "pivot_wave": ("band", [4700.0, 6200.0], IMAGE.attrs("pivot_wave")),
        },
        attrs={"schema": IMAGE.tag, "wcs": on.wcs, "pixel_scale": on.pixel_scale},
    )


def disc(on, radius):
    y, x = np.indices(on.shape) - (on.shape[0] - 1) / 2
    return np.hypot(y, x) * on.pixel_scale <= radius


def test_stamps_of_a_cube():
    on = grid(0.5, 61)
    cube = cube_of([blurred(on), blurred(on, seed=2)], on, region=disc(on, 4.0))
    cube["flags"].values[1, 25, 25] |= int(Flag.MASKED)
    radius = region_radius(cube, ra=RA, dec=DEC)
    assert radius == pytest.approx(4.0, abs=0.5)
    config = MorphologyConfig(data="matched", stamp=2.0)
    found = stamps_of_cube(
        cube, GALAXY, bands=("g", "r"), radius=radius, config=config, region=REGION
    ).bands
    assert found["g"].attrs["pivot_wave"] == 4700.0
    assert found["g"].sizes["x"] == 2 * np.ceil(2.0 * radius / 0.5)
    # sums of correlated noise have three times the error that pixels tell, with an area of nine
    np.testing.assert_allclose(found["g"]["flux_err"].values, 0.03, rtol=1e-6)
    assert found["r"]["masked"].values.sum() == 1
    assert not found["g"]["masked"].values.any()


def test_a_cube_of_unknown_psf_is_refused():
    on = grid(0.5, 61)
    cube = cube_of([blurred(on)] * 2, on, fwhm=np.nan, region=disc(on, 4.0))
    with pytest.raises(DataError, match="width of its PSF is not known"):
        stamps_of_cube(
            cube, GALAXY, bands=("g",), radius=4.0, config=MorphologyConfig(), region=REGION
        )


def test_the_radius_of_a_segment():
    on = grid(0.3, 101)
    image = stars(on, fwhm=3.0, positions=[(0.0, 0.0)], fluxes=[100.0])
    stages, raws = bands_of(g=(on, image, 0.1, 1.0))
    radius = segment_radius(stages["g"], GALAXY, raws["g"], region=REGION)
    # where the mean over three pixels a side, of a third of the error, falls to 3 sigma; to a block
    sigma = 3.0 / 2.3548
    peak = 100.0 * 0.3**2 / (2 * np.pi * sigma**2)
    assert radius == pytest.approx(sigma * np.sqrt(2 * np.log(peak / 0.1)), abs=0.6)
    nothing = raw(on, 0 * image, 0.1, fwhm=1.0)
    with pytest.raises(DataError, match="band 'g' does not show it"):
        segment_radius(stages["g"], GALAXY, nothing, region=REGION)


def test_blocks_keep_the_flux_and_lose_the_rest():
    plane = np.arange(35.0).reshape(5, 7)
    assert block_sums(plane, 2).tolist() == [[16.0, 24.0, 32.0], [72.0, 80.0, 88.0]]
    plane[0, 0] = np.nan
    assert np.isnan(block_sums(plane, 2)).sum() == 1
