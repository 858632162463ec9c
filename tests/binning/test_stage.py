"""The stage: one cube in, one bins dataset out."""

import numpy as np
import pytest
import xarray as xr

from pxdask.binning import BinStage
from pxdask.core.config import BinConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag
from pxdask.core.schema import BINS, CUBE, IMAGE

GALAXY = {"id": "ngc309", "ra": 14.18, "dec": -9.91, "redshift": 0.0189}


def cube(flux, *, region=True, noise_area=1.0, pivot_wave=None, flux_err=1.0):
    """Return an image/1 dataset of fluxes (n_band, ny, nx); bands are named a, b, c..."""
    flux = np.asarray(flux, dtype="float32")
    n_band = len(flux)
    waves = 1e3 * (1 + np.arange(n_band)) if pivot_wave is None else np.array(pivot_wave, float)
    values = {
        "flux": flux,
        "flux_err": np.full_like(flux, flux_err),
        "flags": np.zeros(flux.shape, dtype="uint16"),
        "psf_fwhm": np.full(n_band, 0.1),
        "noise_area": np.full(n_band, noise_area),
        "region": np.broadcast_to(region, flux.shape[1:]).copy(),
        "band": np.array(list("abcdef"[:n_band]), dtype=object),
        "pivot_wave": waves,
    }
    variables = {
        name: (IMAGE.variables[name].dims, value, IMAGE.attrs(name))
        for name, value in values.items()
    }
    coords = {name: variables.pop(name) for name in ("band", "pivot_wave")}
    attrs = {"schema": IMAGE.tag, "wcs": "WCSAXES =                    2"}
    return IMAGE.validate(xr.Dataset(variables, coords=coords, attrs=attrs))


def stage(**settings):
    defaults = {"snr": 2.5, "min_diameter": 1.0, "ring_width": 1.0, "max_chi2": 1e9}
    return BinStage(BinConfig(**{**defaults, **settings}))


@pytest.fixture
def faint():
    """Return the cube of the growth case worked by hand: bins of 9, 7, 7 and 2 pixels."""
    image = np.ones((1, 5, 5))
    image[0, 2, 2] = 2
    return cube(image)


def test_a_galaxy_by_hand(faint):
    before = faint.copy(deep=True)
    bins = BINS.validate(stage().run(GALAXY, cube=faint))
    xr.testing.assert_identical(faint, before)
    np.testing.assert_array_equal(bins["n_pix"], [9, 7, 7, 2])
    np.testing.assert_array_equal(bins["flux"], [[10], [7], [7], [2]])
    np.testing.assert_array_equal(bins["flux_err"], np.sqrt([[9], [7], [7], [2]]))
    np.testing.assert_array_equal(bins["flags"], [[0], [0], [0], [Flag.LOW_SNR]])
    assert bins.attrs["n_bin"] == 4
    assert bins.attrs["reference_band"] == "a"
    assert bins.attrs["wcs"] == faint.attrs["wcs"]
    assert '"snr":2.5' in bins.attrs["settings"]
    assert bins["band"].dtype == object


def test_stage_names_itself():
    one = stage()
    assert (one.name, one.version, one.inputs, one.output) == ("bins", 4, ("cube",), BINS)
    assert one.settings()["min_diameter"] == 1.0


def test_errors_grow_with_noise_correlation_only_if_asked():
    image = cube(np.ones((1, 3, 3)), noise_area=2.0)
    asked = stage(snr=1e-3, min_diameter=9.0).run(GALAXY, cube=image)
    plain = stage(snr=1e-3, min_diameter=9.0, correlated_noise=False).run(GALAXY, cube=image)
    np.testing.assert_allclose(asked["flux_err"], np.sqrt(9 * 1.58146), rtol=1e-5)
    np.testing.assert_allclose(plain["flux_err"], 3.0, rtol=1e-15)


def test_default_reference_is_the_middle_in_wavelength():
    images = np.ones((3, 4, 4))
    one = cube(images, pivot_wave=[5000, 9000, 7000])
    assert stage().run(GALAXY, cube=one).attrs["reference_band"] == "c"
    two = cube(images[:2], pivot_wave=[5000, 4000])
    assert stage().run(GALAXY, cube=two).attrs["reference_band"] == "b"
    named = stage(reference_band="b").run(GALAXY, cube=one)
    assert named.attrs["reference_band"] == "b"


def test_demands_by_band_and_missing_bands():
    images = np.stack([np.full((3, 3), 9.0), np.full((3, 3), np.nan)])
    image = cube(images)
    image["flags"][1] = Flag.NO_DATA
    bins = stage(snr={"a": 5.0}).run(GALAXY, cube=image)
    assert bins.sizes["bin"] == 9
    assert np.isnan(bins["flux"][:, 1]).all()
    assert np.isnan(bins["flux_err"][:, 1]).all()
    np.testing.assert_array_equal(bins["flags"], [[0, Flag.NO_DATA]] * 9)
    strict = stage(snr={"a": 5.0, "b": 1.0}).run(GALAXY, cube=image)
    np.testing.assert_array_equal(strict["flags"], [[0, Flag.NO_DATA | Flag.LOW_SNR]])


def test_region_is_respected(faint):
    region = np.zeros((5, 5), dtype=bool)
    region[1, 2] = True
    bins = stage().run(GALAXY, cube=faint.assign(region=faint["region"].copy(data=region)))
    np.testing.assert_array_equal(bins["bin_map"], np.where(region, 0, -1))


def test_faults_say_what_to_do(faint):
    empty = faint.assign(region=faint["region"].copy(data=np.zeros((5, 5), dtype=bool)))
    with pytest.raises(DataError, match=r"ngc309.*no pixel.*images\.region\.threshold"):
        stage().run(GALAXY, cube=empty)
    with pytest.raises(DataError, match="no variable 'region'"):
        stage().run(GALAXY, cube=faint.drop_vars("region"))
    with pytest.raises(ConfigError, match="reference_band is 'z'; the cube's bands are"):
        stage(reference_band="z").run(GALAXY, cube=faint)
    with pytest.raises(ConfigError, match=r"snr names \['z'\]"):
        stage(snr={"z": 1.0}).run(GALAXY, cube=faint)


def test_settings_leave_out_what_changes_nothing():
    """Memory is no result, and a map counts by its content, which is for the survey to add."""
    one = BinStage(BinConfig(method="map", map="a/{id}.fits"))
    other = BinStage(BinConfig(method="map", map="b/{id}.fits", max_memory=1.0), given=np.ones(1))
    assert one.settings() == other.settings()
    assert one.settings()["map"] is True
    assert stage().settings()["map"] is False
    assert stage(min_coverage=0.5).settings() != stage().settings()


def test_a_given_map(faint):
    given = np.zeros((5, 5), dtype="i4")
    given[1:3, 1:4], given[3] = 8, 4
    config = BinConfig(method="map", map="{id}.fits", snr=2.5)
    bins = BINS.validate(BinStage(config, given=given).run(GALAXY, cube=faint))
    np.testing.assert_array_equal(bins["flux"], [[5], [7]])
    np.testing.assert_array_equal(bins["bin_map"] == 1, given == 8)
    with pytest.raises(DataError, match=r"galaxy ngc309: the given map of bins is \(4, 5\)"):
        BinStage(config, given=given[1:]).run(GALAXY, cube=faint)


def test_quality_is_always_there(faint):
    bins = stage().run(GALAXY, cube=faint)
    np.testing.assert_allclose(bins["snr"], [[10 / 3], [7**0.5], [7**0.5], [2**0.5]], rtol=1e-15)
    np.testing.assert_array_equal(bins["limiting_band"], 0)
    np.testing.assert_array_equal(bins["n_pieces"][0], 1)
    assert np.isnan(bins["sed_chi2"]).all()  # one band has no shape


def spectra(shape=(5, 5), n_wave=4):
    """Return a cube/1 of ones with errors of 2; the last column has no spectrum."""
    region = np.ones(shape, dtype=bool)
    region[:, -1] = False
    ones = np.ones((n_wave, *shape), dtype="float32")
    values = {
        "wave": 4000.0 + np.arange(n_wave),
        "lsf_fwhm": np.full(n_wave, 2.5),
        "flux": ones,
        "flux_err": 2 * ones,
        "flags": np.zeros(ones.shape, dtype="uint16"),
        "region": region,
    }
    variables = {n: (CUBE.variables[n].dims, v, CUBE.attrs(n)) for n, v in values.items()}
    coords = {n: variables.pop(n) for n in ("wave", "lsf_fwhm")}
    return CUBE.validate(xr.Dataset(variables, coords=coords, attrs={"schema": CUBE.tag}))


def test_spectra_are_summed_over_the_same_pixels(faint):
    """The centre's nine pixels are all covered; of bins at the right edge too few are."""
    bins = BINS.validate(stage().run(GALAXY, cube=faint, spectra=spectra()))
    np.testing.assert_array_equal(bins["spectrum"][0], [9.0] * 4)
    np.testing.assert_array_equal(bins["spectrum_err"][0], [6.0] * 4)
    np.testing.assert_array_equal(bins["wave"], spectra()["wave"])
    covered = [
        np.mean(spectra()["region"].values[bins["bin_map"].values == label]) for label in range(4)
    ]
    np.testing.assert_array_equal(bins["coverage"], covered)
    few = bins["coverage"].values < 0.9
    assert few.any()
    np.testing.assert_array_equal(np.isnan(bins["spectrum"]).all("wave"), few)
    loose = stage(min_coverage=0.1).run(GALAXY, cube=faint, spectra=spectra())
    assert np.isfinite(loose["spectrum"][bins["coverage"].values >= 0.1]).all()
    photometry = stage().run(GALAXY, cube=faint)
    for name in photometry.data_vars:
        np.testing.assert_array_equal(bins[name], photometry[name])
    with pytest.raises(DataError, match=r"galaxy ngc309: the spectra are on a grid of \(4, 5\)"):
        stage().run(GALAXY, cube=faint, spectra=spectra((4, 5)))


def test_a_galaxy_larger_than_memory_is_refused(faint):
    with pytest.raises(DataError, match=r"galaxy ngc309: .*25 pixels.*GB.*max_memory allows 1e-06"):
        stage(max_memory=1e-6).run(GALAXY, cube=faint)
