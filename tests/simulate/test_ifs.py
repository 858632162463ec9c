from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.constants import UJY_CGS
from pxdask.core.errors import DataError
from pxdask.core.ifs import IfsConfig
from pxdask.core.models import ModelConfig
from pxdask.ifs import IfsStage
from pxdask.images.extinction import extinction
from pxdask.images.grid import gnomonic_grid
from pxdask.images.psf import Psf
from pxdask.io.extensions import write_extensions
from pxdask.io.filters import load_filters
from pxdask.io.ifs import read_ifs, read_ifs_header
from pxdask.kernels.bandpass import bin_weights
from pxdask.kernels.spectra import air_to_vacuum
from pxdask.simulate import (
    IFUS,
    MockGalaxy,
    extensions,
    observe_ifs,
    smooth_mismatch,
    truth_maps,
)
from pxdask.simulate.basis import STEPS, interpolation, spectral_basis
from pxdask.simulate.sampling import resample
from pxdask.sps import PhotometryEngine, synthetic_ssp
from pxdask.sps.observed import UNIT, Observer, bin_edges_of
from tests.simulate.conftest import ROW

SETTINGS = ModelConfig(igm="none")
BANDS = ("sdss_g", "sdss_r")
SMALL = {
    # 40 arcsec, and every tenth wavelength or so: lines are not looked at here
    "manga": replace(IFUS["manga"], shape=(72, 70), wave_step=1e-3, n_wave=456),
    "califa": replace(IFUS["califa"], shape=(61, 64), diameter=50.0, wave_step=10.0, n_wave=380),
}


@pytest.fixture(scope="module")
def ssp():
    return synthetic_ssp(n_wave=2000)


@pytest.fixture(scope="module")
def seen(ssp):
    """A small mock galaxy in two bands, sampled to an arcsecond."""
    engine = PhotometryEngine(ssp, load_filters(BANDS), redshift=0.02, settings=SETTINGS)
    galaxy = MockGalaxy.from_row({**ROW, "r_eff": 8.0})
    return truth_maps(galaxy, engine=engine, bands=BANDS, pixel_scale=1.0)


@pytest.fixture(scope="module")
def watch(ssp, seen):
    def observed(kind, *, seed=1, **options):
        return observe_ifs(
            seen, SMALL[kind], ssp=ssp, settings=SETTINGS, redshift=0.02,
            rng=np.random.default_rng(seed), **options,
        )  # fmt: skip

    return observed


def test_wavelengths_are_the_surveys():
    manga, califa = IFUS["manga"], IFUS["califa"]
    # MaNGA: 3622 to 10354 Angstrom in steps of 1e-4 dex; CALIFA: 3701 to 7501 in air
    assert manga.wave[[0, -1]] == pytest.approx([3621.6, 10353.8], abs=0.05)
    assert np.diff(np.log10(manga.wave)) == pytest.approx(1e-4)
    assert califa.file_wave[[0, -1]].tolist() == [3701.0, 7501.0]
    assert np.array_equal(califa.wave, air_to_vacuum(califa.file_wave))


@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_interpolation_is_linear(n, n_axis, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, n_axis))
    nodes, weights = interpolation(values, steps=rng.uniform(0.2, 2.0, n_axis))
    assert weights @ nodes == pytest.approx(values, abs=1e-9)
    assert weights.sum(axis=1) == pytest.approx(1.0)
    assert weights.min() >= 0
    assert np.diff(weights.indptr).max() <= n_axis + 1
    assert np.all((nodes >= values.min(axis=0) - 1e-9) & (nodes <= values.max(axis=0) + 1e-9))


def test_interpolation_by_hand():
    # the square of 0 to 1: (0.3, 0.7) lies between (0, 0), (0, 1) and (1, 1)
    nodes, weights = interpolation(
        np.array([[0.0, 0.0], [1.0, 1.0], [0.3, 0.7]]), steps=np.array([1.0, 1.0])
    )
    found = {tuple(node): w for node, w in zip(nodes, weights.toarray()[2], strict=True)}
    assert found == pytest.approx({(0.0, 0.0): 0.3, (0.0, 1.0): 0.4, (1.0, 1.0): 0.3})


def test_few_spectra_stand_for_all(seen, ssp):
    spec = SMALL["califa"]
    maker = Observer(
        ssp, settings=SETTINGS, redshifts=(0.02, 0.02), wave=spec.wave, lsf_fwhm=spec.lsf
    )
    basis = spectral_basis(seen, maker)
    assert basis.planes.shape[0] < 40
    y, x = np.random.default_rng(1).integers(0, seen.sizes["y"], (2, 200))
    parameters = {name: seen[name].to_numpy()[y, x] for name in STEPS}
    wanted = maker.spectra(parameters) * seen["mass_formed"].to_numpy()[y, x, None]
    got = basis.planes[:, y, x].T @ basis.spectra
    # linear between populations: 0.1 % typically, 0.5 % at worst
    assert np.std(got / wanted - 1) < 1e-3
    assert np.abs(got.mean(axis=1) / wanted.mean(axis=1) - 1).max() < 5e-3


@pytest.mark.parametrize("kind", ["manga", "califa"])
def test_cube_has_the_light_of_the_images(watch, seen, kind):
    made = watch(kind, noise=False)
    light = resample(
        seen["flux"].to_numpy().astype(float), source=WCS(seen.attrs["wcs"]),
        target=WCS(made.wcs), shape=made.spec.shape, psf_fwhm=2.5,
    )  # fmt: skip
    weights = [bin_weights(band, bin_edges_of(made.spec.wave)) for band in load_filters(BANDS)]
    flux = np.tensordot(np.array(weights), made.flux * made.spec.unit / UJY_CGS, axes=1)
    ratio = (flux / light)[:, made.footprint]
    # 1 %: the broad bins of the wavelengths here, on a spectrum of steps
    assert np.abs(np.median(ratio, axis=1) - 1).max() < 0.01
    assert ratio.std(axis=1).max() < 0.005


@pytest.mark.parametrize("kind", ["manga", "califa"])
def test_matched_cube_agrees_with_matched_images(watch, seen, kind):
    made = watch(kind, noise=False)
    grid = gnomonic_grid(ra=ROW["ra"], dec=ROW["dec"], pixel_scale=1.5, size=40.0)
    stage = IfsStage(config=IfsConfig(path="cube.fits"), grid=grid, target=Psf(fwhm=6.37))
    cube = stage.run({"id": "toy"}, slices=made.slices())
    light = resample(
        seen["flux"].to_numpy().astype(float), source=WCS(seen.attrs["wcs"]),
        target=WCS(grid.wcs), shape=grid.shape, psf_fwhm=6.37,
    )  # fmt: skip
    weights = [bin_weights(band, bin_edges_of(made.spec.wave)) for band in load_filters(BANDS)]
    flux = np.tensordot(np.array(weights), cube["flux"].to_numpy() * UNIT / UJY_CGS, axes=1)
    whole = cube["region"].to_numpy() & np.all(cube["flags"] == 0, axis=0).to_numpy()
    assert whole.sum() > 20
    # pixels of 1.5 arcsec widen 6.37 by 0.6 %, and less light comes from the masked outside
    ratio = (flux / light)[:, whole]
    assert np.abs(np.median(ratio, axis=1) - 1).max() < 0.015
    assert ratio.std(axis=1).max() < 0.015


def test_footprint_is_a_hexagon(watch):
    made = watch("califa", noise=False)
    # corner to corner D: area 3 sqrt(3) / 8 D^2; 2 %: whole spaxels
    assert made.footprint.sum() == pytest.approx(3 * 3**0.5 / 8 * 50.0**2, rel=0.02)
    assert np.all(made.flux[:, ~made.footprint] == 0)
    assert np.all(np.isnan(made.sigma[:, ~made.footprint]))
    assert np.all(made.sigma[:, made.footprint] > 0)


@pytest.mark.parametrize("kind", ["manga", "califa"])
def test_noise_is_as_stated(watch, kind):
    noisy, clean = watch(kind), watch(kind, noise=False)
    pull = np.where(noisy.bad, np.nan, (noisy.flux - clean.flux) / noisy.sigma)
    inside = pull[:, noisy.footprint]
    assert np.nanstd(inside) == pytest.approx(1.0, abs=0.01)
    # variance of the mean of 20 x 20 spaxels, correlated over an area: 400 are many
    block = np.nanmean(pull[:, 25:45, 25:45], axis=(1, 2))
    area = noisy.spec.noise_area
    edge = 1 - 2 * np.sqrt(area) / (np.pi * 20)  # what the block's border leaves, of one axis
    assert block.var() * 400 == pytest.approx(area * edge, rel=0.25)
    assert noisy.bad[:, noisy.footprint].mean() == pytest.approx(1e-3, rel=0.2)
    assert not noisy.bad[:, ~noisy.footprint].any()


def test_same_generators_give_the_same_bytes(watch):
    one, two, other = watch("manga"), watch("manga"), watch("manga", seed=2)
    assert one.flux.tobytes() == two.flux.tobytes()
    assert one.wcs != other.wcs


def test_mismatch_multiplies_the_light(watch):
    mismatch = smooth_mismatch(np.random.default_rng(4), amplitude=0.2)
    clean, changed = watch("manga", noise=False), watch("manga", noise=False, mismatch=mismatch)
    inside = clean.footprint
    ratio = changed.flux[:, inside] / clean.flux[:, inside]
    x, y = WCS(clean.wcs).wcs_world2pix(ROW["ra"], ROW["dec"], 0)
    rows, columns = np.nonzero(inside)
    wanted = mismatch(clean.spec.wave, -0.5 * (columns - x), 0.5 * (rows - y))
    assert np.allclose(ratio, wanted, rtol=1e-5, atol=0)  # float32
    assert 0.02 < np.abs(ratio - 1).max() <= 0.2
    assert np.ptp(ratio.mean(axis=0)) > 0.005  # it differs from place to place


def test_dust_dims_only_what_pipelines_leave(watch):
    for kind, dimmed in (("manga", True), ("califa", False)):
        clean, dusty = watch(kind, noise=False), watch(kind, noise=False, ebv=0.1)
        assert dusty.ebv == (0.1 if dimmed else 0.0)
        ratio = dusty.flux[:, 36, 36] / clean.flux[:, 36, 36]
        wanted = 10 ** (-0.4 * extinction(clean.spec.wave, ebv=dusty.ebv))
        assert ratio == pytest.approx(wanted, rel=1e-5)


def test_too_narrow_a_psf_is_refused(ssp, seen):
    spec = replace(SMALL["manga"], psf_fwhm=1.0)
    with pytest.raises(DataError, match="needs truth sampled"):
        observe_ifs(
            seen, spec, ssp=ssp, settings=SETTINGS, redshift=0.02, rng=np.random.default_rng(1)
        )


def test_manga_hdus(watch):
    made = watch("manga", ebv=0.05)
    hdus = {hdu.name: hdu for hdu in extensions(made)}
    assert list(hdus)[:6] == ["", "FLUX", "IVAR", "MASK", "WAVE", "SPECRES"]
    assert hdus[""].header["EBVGAL"] == 0.05
    good = made.footprint & ~made.bad
    assert np.all(hdus["MASK"].data[:, ~made.footprint] == 1025)
    assert np.all(hdus["MASK"].data[made.bad] == 1024)
    assert np.all(hdus["MASK"].data[good] == 0)
    assert np.allclose(hdus["IVAR"].data[good], made.sigma[good] ** -2.0, rtol=1e-5, atol=0)
    assert np.all(hdus["IVAR"].data[~good] == 0)
    assert hdus["GPSF"].data.sum() == pytest.approx(1.0, abs=1e-5)
    # sigma of 70 km/s
    assert hdus["SPECRES"].data == pytest.approx(299792.458 / (70 * 2.35482), rel=1e-5)


def test_califa_hdus(watch):
    made = watch("califa")
    hdus = {hdu.name: hdu for hdu in extensions(made)}
    assert list(hdus) == ["", "ERROR", "ERRWEIGHT", "BADPIX", "FIBCOVER"]
    bad = made.bad | ~made.footprint
    assert np.array_equal(hdus["BADPIX"].data == 1, bad)
    assert np.all(hdus["ERROR"].data[bad] == 1e10)
    assert hdus[""].header["CRVAL3"] == 3701.0


@pytest.mark.parametrize("kind", ["manga", "califa"])
def test_readers_give_the_slices_back(watch, kind, tmp_path):
    made = watch(kind, ebv=0.05)
    path = tmp_path / "cube.fits"
    write_extensions(path, extensions(made))
    header = read_ifs_header(IfsConfig(path=str(path)))
    assert header.kind == kind
    got, wanted = read_ifs(header, 100, 140), made.slices(100, 140)
    for name in ("wave", "lsf_fwhm", "psf_fwhm", "flux", "flux_err"):
        # 1e-5: float32, and its inverse squares
        assert np.allclose(got[name], wanted[name], rtol=1e-5, atol=0, equal_nan=True)
    assert np.array_equal(got["flags"] > 0, wanted["flags"] > 0)
    assert got.attrs["ebv"] == wanted.attrs["ebv"]
    assert got.attrs["noise_area"] == pytest.approx(wanted.attrs["noise_area"])
    for x, y in ((0, 0), (40, 20)):
        here, there = (WCS(ds.attrs["wcs"]).wcs_pix2world(x, y, 0) for ds in (got, wanted))
        assert np.allclose(here, there, rtol=0, atol=1e-9)
