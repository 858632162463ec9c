"""The demonstration: what `make demo` finds is what the mock galaxies are made of."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

import pxdask
from pxdask.core.errors import ConfigError
from pxdask.io.stores import read
from pxdask.simulate import truth_of_bins, truth_on_grid
from pxdask.survey.mock import TRUTH_FILE
from tests.paths import REPOSITORY

CATALOG, CONFIG = (REPOSITORY / "catalogs" / name for name in ("demo.ecsv", "demo.yaml"))
SNR = 10.0

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo")
    pxdask.make_mocks(CATALOG, root / "images")
    run = pxdask.submit(
        CATALOG, CONFIG, root / "run", root=root / "images", workers=2, progress=False
    )
    return root, run


@pytest.fixture(scope="module")
def compared(demo):
    """Recovered quantiles and truth of log mass, of all bins with S/N > 10 in r."""
    root, run = demo
    found, true = [], []
    for name in run.finished():
        cube, bins, fit = (run.dataset(name, stage) for stage in ("cube", "bins", "fit"))
        seen = truth_on_grid(
            read(root / "images" / name / TRUTH_FILE),
            wcs=cube.attrs["wcs"],
            shape=cube["flux"].shape[1:],
            psf_fwhm=float(cube["psf_fwhm"][0]),
        )
        bright = (bins["flux"] / bins["flux_err"]).sel(band="sdss_r").values > SNR
        truth = truth_of_bins(seen, bin_map=bins["bin_map"].values)["mass"].values
        found.append(fit["log_mass"].values[bright])
        true.append(np.log10(truth[bright]))
    return np.concatenate(found), np.concatenate(true)


def test_every_galaxy_has_maps(demo):
    _, run = demo
    assert run.finished() == run.galaxies
    assert len(run.galaxies) == 4


def test_mass_is_recovered(compared):
    found, true = compared
    assert len(true) > 400
    assert np.median(np.abs(found[:, 1] - true)) <= 0.15


@pytest.mark.statistical
def test_intervals_cover_the_truth(compared):
    found, true = compared
    covered = np.mean((found[:, 0] <= true) & (true <= found[:, 2]))
    assert 0.55 <= covered <= 0.80


def test_centres_are_old_and_heavy(demo):
    """What the eye sees in the pictures: age and density fall outwards in the spiral."""
    _, run = demo
    maps = run.maps("spiral").sel(quantile=0.5)
    ny, nx = maps["log_mw_age"].shape
    y, x = np.indices((ny, nx)) - np.array([ny // 2, nx // 2])[:, None, None]
    radius = np.hypot(y, x)
    for name, least in (("log_mass_density", 1.0), ("log_mw_age", 0.05), ("logzsol", 0.05)):
        inner, outer = (
            np.nanmedian(maps[name].values[part])
            for part in (radius < 4, (radius > 20) & (radius < 30))
        )
        assert inner - outer > least, name


def test_fits_planes_are_where_the_galaxy_is(demo):
    root, run = demo
    row = run.catalog[0]
    with fits.open(root / "images" / "spiral" / "galex_fuv.fits") as hdus:
        x_in, y_in = WCS(hdus[0].header).world_to_pixel_values(row["ra"], row["dec"])
        coarse = WCS(hdus[0].header)
    with fits.open(run.product_paths("spiral")["maps"]) as hdus:
        hdus.verify("exception")
        for hdu in hdus[1:]:
            if not hdu.is_image:
                continue
            wcs = WCS(hdu.header).celestial
            x, y = wcs.world_to_pixel_values(row["ra"], row["dec"])
            assert abs(x - (hdu.shape[-1] - 1) / 2) < 1
            assert abs(y - (hdu.shape[-2] - 1) / 2) < 1
            # the stamp is cut from the coarsest image on whole pixels
            assert (x_in - x) % 1 == pytest.approx(0, abs=0.01) or (x_in - x) % 1 > 0.99
            assert (y_in - y) % 1 == pytest.approx(0, abs=0.01) or (y_in - y) % 1 > 0.99
            np.testing.assert_allclose(
                wcs.pixel_scale_matrix, coarse.pixel_scale_matrix, rtol=1e-6, atol=1e-12
            )


def test_mocks_are_made_once_and_never_overwritten(demo):
    root, _ = demo
    path = root / "images" / "spiral" / "sdss_r.fits"
    before = path.stat().st_mtime_ns
    pxdask.make_mocks(CATALOG, root / "images")
    assert path.stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match="another row, seed or version"):
        pxdask.make_mocks(CATALOG, root / "images", seed=2)
    with pytest.raises(ConfigError, match=r"unknown surveys \['hst'\]"):
        pxdask.make_mocks(CATALOG, root / "images", surveys=["hst"])
