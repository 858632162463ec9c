import numpy as np
import pytest
from astropy.wcs import WCS

from pxdask.core.errors import DataError
from pxdask.core.models import ModelConfig
from pxdask.io.filters import load_filters
from pxdask.simulate import (
    NEARBY,
    SURVEYS,
    TRUTH,
    TRUTH_BINS,
    TRUTH_GRID,
    truth_maps,
    truth_of_bins,
    truth_on_grid,
)
from pxdask.sps import PhotometryEngine, synthetic_ssp
from tests.simulate.engines import ToyEngine


@pytest.fixture(scope="module")
def cube_wcs(galaxy):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [galaxy.ra, galaxy.dec]
    wcs.wcs.crpix = [60.7, 60.1]
    wcs.wcs.cdelt = [-1.5 / 3600, 1.5 / 3600]
    return wcs.to_header_string()


@pytest.fixture(scope="module")
def seen(truth, cube_wcs):
    return truth_on_grid(truth, wcs=cube_wcs, shape=(120, 120), psf_fwhm=6.37)


def test_mass_is_the_catalogues(truth, galaxy):
    TRUTH.validate(truth)
    assert np.log10(truth["mass"].sum().item()) == pytest.approx(galaxy.log_mass, abs=1e-12)
    assert truth["mass_formed"].sum().item() == pytest.approx(2 * truth["mass"].sum().item())


def test_flux_is_mass_times_the_models(truth):
    y, x = 200, 150
    parameters = {
        name: truth[name].to_numpy()[y, x][None]
        for name in ("log_age", "log_tau", "logzsol", "dust2")
    }
    wanted = ToyEngine(truth.sizes["band"]).flux(parameters)[0] * truth["mass_formed"][y, x].item()
    assert truth["flux"][:, y, x].to_numpy() == pytest.approx(wanted, rel=1e-6)  # float32


def test_centre_of_the_map_is_the_galaxy(truth, galaxy):
    peak = np.unravel_index(np.argmax(truth["mass"].to_numpy()), truth["mass"].shape)
    x, y = WCS(truth.attrs["wcs"]).world_to_pixel_values(galaxy.ra, galaxy.dec)
    assert (float(y), float(x)) == pytest.approx(peak, abs=1e-6)


def test_east_is_left(galaxy):
    made = truth_maps(galaxy, engine=ToyEngine(1), bands=["one"], size=40.0)
    ra, _ = WCS(made.attrs["wcs"]).pixel_to_world_values([0, 80], [40, 40])
    assert ra[0] > galaxy.ra > ra[1]


def test_wrong_number_of_bands_is_refused(galaxy):
    with pytest.raises(DataError, match="gives 3 bands, not the 1 named"):
        truth_maps(galaxy, engine=ToyEngine(3), bands=["one"], size=20.0)


def test_real_models_give_a_plausible_galaxy(galaxy):
    bands = [band for name in NEARBY for band in SURVEYS[name].bands]
    engine = PhotometryEngine(
        synthetic_ssp(),
        load_filters([band.filter for band in bands]),
        redshift=galaxy.redshift,
        settings=ModelConfig(igm="none"),
    )
    made = truth_maps(galaxy, engine=engine, bands=[band.name for band in bands], pixel_scale=1.0)
    flux = made["flux"].sum(["y", "x"]).to_numpy()
    assert np.all(flux > 0)
    assert np.log10(made["mass"].sum().item()) == pytest.approx(galaxy.log_mass)
    surviving = made["mass"].sum().item() / made["mass_formed"].sum().item()
    assert 0.3 < surviving < 1.0
    age = made["log_mw_age"].to_numpy()
    middle = age.shape[0] // 2
    assert age[middle, middle] == age.max()


def test_sums_survive_the_cube(truth, seen):
    TRUTH_GRID.validate(seen)
    for name in ("mass_formed", "mass", "sfr"):
        # 0.5 %: light that the PSF carries over the truth's edge, six effective radii out
        assert seen[name].sum().item() == pytest.approx(truth[name].sum().item(), rel=5e-3)


def test_means_lie_within_what_is_averaged(truth, seen):
    for name in ("log_mw_age", "logzsol", "av"):
        values = seen[name].to_numpy()[20:100, 20:100]
        assert values.min() >= truth[name].min().item() - 1e-6
        assert values.max() <= truth[name].max().item() + 1e-6


def test_averages_weight_by_mass(seen):
    bins = truth_of_bins(seen, bin_map=np.zeros((120, 120), dtype=np.int32))
    formed = seen["mass_formed"].to_numpy()
    known = np.isfinite(seen["av"].to_numpy())
    wanted = np.average(seen["av"].to_numpy()[known], weights=formed[known])
    assert bins["av"].item() == pytest.approx(wanted)


def test_bins_add_up(seen):
    TRUTH_BINS.validate(truth_of_bins(seen, bin_map=np.full((120, 120), -1, dtype=np.int32)))
    bin_map = np.full((120, 120), -1, dtype=np.int32)
    bin_map[30:90, 30:60], bin_map[30:90, 60:90] = 0, 1
    bins = truth_of_bins(seen, bin_map=bin_map)
    inside = seen["mass"].to_numpy()[30:90, 30:90]
    assert bins["mass"].sum().item() == pytest.approx(inside.sum())
    assert bins["mass"].to_numpy()[0] == pytest.approx(inside[:, :30].sum())


def test_bin_map_of_another_grid_is_refused(seen):
    with pytest.raises(DataError, match=r"\(3, 3\), the truth \(120, 120\)"):
        truth_of_bins(seen, bin_map=np.zeros((3, 3), dtype=np.int32))
