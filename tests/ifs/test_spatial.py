import logging

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag
from pxdask.ifs import wave_margin
from pxdask.images.extinction import extinction
from pxdask.images.noise import convolve, unprocessed
from pxdask.images.psf import Psf, matching_kernel
from pxdask.images.psf_images import image_fwhm
from pxdask.images.resample import to_grid
from pxdask.kernels.noise import aperture_growth
from pxdask.testing.contracts import check_stage, digest
from tests.ifs.cubes import GALAXY, hide, slices, stage
from tests.images.skies import grid, stars

FWHM_PER_SIGMA = 2.3548200450309493


@pytest.fixture(scope="module")
def cube():
    """Four slices of a galaxy and a star, 0.5 arcsec, with a PSF that varies; some masked."""
    on = grid(0.5, 61, angle=0.1, x=30.3, y=29.6)
    light = stars(on, fwhm=7.0, positions=[(0, 0)], fluxes=[500.0])
    flux = light * np.array([1.0, 1.2, 0.8, 1.1, 0.9, 1.0, 1.05])[:, None, None]
    noise = np.random.default_rng(1).normal(0, 0.01, flux.shape)
    psf = np.array([2.6, 2.59, 2.5, 2.4, 2.3, 2.2, 2.2])
    ds = slices(on, flux + noise, 0.01, psf=psf, noise_area=6.0)
    masked = np.zeros(flux.shape, bool)
    masked[:, :12] = True
    masked[2, 30, 30] = True
    masked[4, 28:33, 25:40] = True
    return hide(ds, masked)


def test_stage_keeps_its_promises(cube):
    out = check_stage(stage(grid(1.5, 16), 4.0), GALAXY, {"slices": cube})
    assert out["flux"].shape == (7, 16, 16)
    assert np.all(out["noise_area"].values > 1)


def test_flux_is_conserved():
    # a source well inside; sums agree to 0.5 % (sampling of source and kernel: 0.01 %)
    on = grid(0.5, 81, angle=0.3, x=40.2, y=39.7)
    light = stars(on, fwhm=5.0, positions=[(0, 0), (3, -2)], fluxes=[100.0, 40.0])
    out = stage(grid(1.5, 30), 6.0).run(GALAXY, slices=slices(on, [light, 2 * light], 0.1))
    total = out["flux"].sum(["y", "x"]).to_numpy()
    assert total == pytest.approx([140.0, 280.0], rel=5e-3)


@pytest.mark.parametrize("target", [3.5, 6.37])
def test_psf_is_the_target_at_all_wavelengths(target):
    # seen as Gaussians of their widths; pixels of 0.75 arcsec add 0.5 % to 5 arcsec
    on, widths = grid(0.5, 101), [1.5, 2.5, 3.3]
    flux = [stars(on, fwhm=width, positions=[(0, 0)], fluxes=[100.0]) for width in widths]
    new = grid(0.75, 55)
    out = stage(new, target).run(GALAXY, slices=slices(on, flux, 0.1, psf=widths))
    box = 0.75**2 / 12 * FWHM_PER_SIGMA**2
    for plane in out["flux"].to_numpy():
        width = image_fwhm(plane.astype(float)) * 0.75
        assert width == pytest.approx(np.hypot(target, np.sqrt(box)), rel=0.02)


@pytest.mark.parametrize("target", [None, 5.0])
def test_positions_are_kept(target):
    on = grid(0.5, 90, angle=0.7, x=46.1, y=43.3)
    new = grid(1.5, 31, angle=-0.2, x=14.7, y=15.4)
    light = stars(on, fwhm=4.0, positions=[(0, 0)], fluxes=[100.0])
    out = stage(new, target).run(GALAXY, slices=slices(on, [light], 0.1, psf=4.0))
    plane = np.nan_to_num(out["flux"][0].to_numpy())
    y, x = np.indices(plane.shape)
    # pix of 1.5 arcsec
    assert np.sum(x * plane) / plane.sum() == pytest.approx(14.7, abs=0.02)
    assert np.sum(y * plane) / plane.sum() == pytest.approx(15.4, abs=0.02)


@pytest.mark.parametrize("target", [None, 5.0])
@pytest.mark.parametrize("method", ["rotated", "shifted"])
def test_slices_go_the_way_of_images(target, method):
    # the same kernel and areas; 1e-5: float32 of the fluxes
    on = grid(0.5, 60, angle=0.2 if method == "rotated" else 0.0)
    new = grid(1.1, 22) if method == "rotated" else grid(0.5, 40, x=20.5, y=19.5)
    rng = np.random.default_rng(2)
    flux = rng.normal(5, 1, on.shape).astype(np.float32)
    flux[20:25, 30] = np.nan
    error = rng.uniform(0.5, 1.5, on.shape).astype(np.float32)
    fwhm = 1.01**93  # the middle of a group of widths
    out = stage(new, target).run(GALAXY, slices=slices(on, flux[None], error, psf=fwhm))
    image, kernel = unprocessed(flux.astype(float), error.astype(float)), None
    if target is not None:
        kernel = matching_kernel(Psf(fwhm=fwhm), Psf(fwhm=target), pixel_scale=0.5)
        image = convolve(image, kernel)
    wanted = to_grid(image, on, new, method="exact", kernel=kernel)
    assert np.allclose(out["flux"][0], wanted.flux, rtol=1e-5, atol=0, equal_nan=True)
    sigma = np.where(np.isfinite(wanted.flux), np.sqrt(wanted.variance), np.nan)
    assert np.allclose(out["flux_err"][0], sigma, rtol=1e-5, atol=0, equal_nan=True)
    edge = np.isfinite(wanted.flux) & (wanted.coverage < 0.95)
    assert np.array_equal((out["flags"][0] & int(Flag.EDGE)) > 0, edge)


@pytest.mark.statistical
@pytest.mark.parametrize("target", [None, 4.0])
@pytest.mark.parametrize("area", [1.0, 12.0])
def test_errors_are_those_of_the_noise(target, area):
    # 2500 slices: a pixel's width is known to 1.4 %, so 5 % are 3.5 sigma
    rng = np.random.default_rng(3)
    on = grid(0.5, 40, angle=0.15)
    noise = rng.standard_normal((2500, 40, 40))
    if area > 1:
        width = np.sqrt(area / (4 * np.pi))
        noise = gaussian_filter(noise, (0, width, width), mode="wrap")
        noise /= noise.std()
    new = grid(1.25, 10)
    ds = slices(on, noise, 1.0, noise_area=area)
    out = stage(new, target).run(GALAXY, slices=ds)
    pull = (out["flux"] / out["flux_err"]).to_numpy()[:, 1:-1, 1:-1]
    widths = pull.std(axis=0)
    assert np.all((widths > 0.95) & (widths < 1.05))
    assert widths.mean() == pytest.approx(1.0, abs=0.02)
    # sums over 36 neighbours; 4 %: their number, and the noise area of a whole cube
    flux, error = (out[name].to_numpy()[:, 2:8, 2:8] for name in ("flux", "flux_err"))
    wanted = np.sqrt(np.sum(error[0] ** 2) * aperture_growth(36, out["noise_area"].values[0]))
    assert flux.sum(axis=(1, 2)).std() == pytest.approx(wanted, rel=0.06)


def test_footprint_is_where_spaxels_fill_pixels():
    # 2 x 2 spaxels a pixel, aligned: rows below 20 masked leave ten rows, and a half of none
    on, new = grid(0.5, 40, x=19.5, y=19.5), grid(1.0, 20, x=9.5, y=9.5)
    ds = slices(on, np.ones((3, 40, 40)), 0.1)
    masked = np.zeros((3, 40, 40), bool)
    masked[:, :21] = True
    masked[0] = True  # a slice of nothing
    out = stage(new).run(GALAXY, slices=hide(ds, masked))
    region = out["region"].to_numpy()
    assert not region[:11].any()  # row 10 is half covered
    assert region[11:].all()
    half = out["flags"][1, 10].to_numpy()
    assert np.all(half == int(Flag.EDGE))
    assert np.all(out["flags"][1, :10] == int(Flag.NO_DATA | Flag.NO_ERROR | Flag.MASKED))
    assert np.all(np.isnan(out["flux"][0]))
    assert out["flux"][1, 10].to_numpy() == pytest.approx(4.0)


def test_all_masked_is_an_empty_cube():
    on, new = grid(0.5, 20), grid(1.0, 8)
    ds = hide(slices(on, np.ones((2, 20, 20)), 0.1), np.ones((2, 20, 20), bool))
    out = stage(new, 4.0).run(GALAXY, slices=ds)
    assert np.all(np.isnan(out["flux"]))
    assert not out["region"].any()


def test_errors_that_are_none_take_the_pixel_with_them():
    on, new = grid(1.0, 20), grid(1.0, 20)
    ds = slices(on, np.ones((1, 20, 20)), 0.1)
    ds["flux_err"][0, 3, 4] = np.nan
    ds["flags"][0, 5, 6] = int(Flag.NO_ERROR)
    out = stage(new).run(GALAXY, slices=ds)
    assert np.argwhere(np.isnan(out["flux"][0].to_numpy())).tolist() == [[3, 4], [5, 6]]


def test_cube_of_another_place_is_refused():
    on = grid(0.5, 20)
    far = grid(1.0, 8, x=500, y=0)
    with pytest.raises(DataError, match=r"'ngc1', cube \(cube.fits\): it does not overlap"):
        stage(far).run(GALAXY, slices=slices(on, np.ones((1, 20, 20)), 0.1))


@pytest.mark.parametrize("smooth_to", [None, 9.0])
@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_chunks_give_the_bytes_of_the_whole(cube, chunk, smooth_to):
    new = grid(1.5, 16)
    n, wave, lsf = cube.sizes["wave"], cube["wave"].values, cube["lsf_fwhm"].values
    whole = stage(new, 4.0, smooth_to=smooth_to).run(GALAXY, slices=cube)
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        first, last = wave_margin(wave, lsf, smooth_to=smooth_to, start=start, stop=stop)
        part = stage(new, 4.0, smooth_to=smooth_to, keep=(start - first, stop - first)).run(
            GALAXY, slices=cube.isel(wave=slice(first, last))
        )
        names = ["flux", "flux_err", "flags", "lsf_fwhm"]
        wanted = whole[names].isel(wave=slice(start, stop))
        assert digest(part[names]) == digest(wanted)


def test_dust_of_the_milky_way_is_taken_off():
    on = grid(1.0, 12)
    ds = slices(on, np.ones((2, 12, 12)), 0.1, wave=[4000.0, 7000.0], ebv=0.1)
    out = stage(on).run(GALAXY, slices=ds)
    factor = 10 ** (0.4 * extinction(np.array([4000.0, 7000.0]), ebv=0.1))
    assert factor[0] > factor[1] > 1.2
    assert out["flux"][:, 5, 5].to_numpy() == pytest.approx(factor, rel=1e-6)
    assert out["flux_err"][:, 5, 5].to_numpy() == pytest.approx(0.1 * factor, rel=1e-6)
    left = stage(on, extinction=False).run(GALAXY, slices=ds)
    assert left["flux"][0, 5, 5].item() == 1.0


def test_dust_that_the_file_does_not_state_is_the_catalogues():
    on = grid(1.0, 12)
    ds = slices(on, np.ones((1, 12, 12)), 0.1, wave=[4000.0], ebv=None)
    ten = 10 ** (0.4 * extinction(np.array([4000.0]), ebv=0.1)).item()
    for dust, row in (
        (None, {**GALAXY, "ebv": 0.1}),
        ({"column": "sfd", "scale": 0.5}, {**GALAXY, "sfd": 0.2}),
        ({"ebv": 0.1}, GALAXY),
    ):
        out = stage(on, dust=dust).run(row, slices=ds)
        assert out["flux"][0, 5, 5].item() == pytest.approx(ten, rel=1e-6)
    with pytest.raises(DataError, match=r"'ngc1'.*ifs.extinction: false"):
        stage(on).run(GALAXY, slices=ds)


def test_wider_psf_is_left_with_a_warning(caplog):
    on = grid(0.5, 40)
    light = stars(on, fwhm=3.0, positions=[(0, 0)], fluxes=[10.0])
    with caplog.at_level(logging.WARNING):
        out = stage(on, 2.0).run(GALAXY, slices=slices(on, [light], 0.1, psf=3.0))
    assert "not matched" in caplog.text
    assert out["flux"][0].to_numpy() == pytest.approx(light, rel=1e-6)


def test_unknown_psf_is_left_with_a_warning(caplog):
    on = grid(0.5, 40)
    light = stars(on, fwhm=3.0, positions=[(0, 0)], fluxes=[10.0])
    with caplog.at_level(logging.WARNING):
        ds = slices(on, [light, light], 0.1, psf=[np.nan, 3.0])
        out = stage(on, 4.0).run(GALAXY, slices=ds)
    assert "give ifs.psf_fwhm" in caplog.text
    assert out["flux"][0].to_numpy() == pytest.approx(light, rel=1e-6)
    assert out["flux"][1].max() < 0.9 * light.max()


def test_settings_tell_what_the_output_depends_on():
    on = grid(1.0, 8)
    same = [stage(on, 4.0), stage(on, 4.0, chunk=7), stage(on, 4.0, psf_fwhm=1.0)]
    assert same[0].settings() == same[1].settings() == same[2].settings()
    others = [
        stage(on, 4.1), stage(grid(1.0, 9), 4.0), stage(on, 4.0, smooth_to=6.0),
        stage(on, 4.0, min_coverage=0.5), stage(on, 4.0, keep=(0, 1)),
        stage(on, 4.0, extinction=False), stage(on, 4.0, dust={"ebv": 0.2}),
        stage(on, 4.0, dust={"scale": 0.86}),
    ]  # fmt: skip
    assert all(other.settings() != same[0].settings() for other in others)
