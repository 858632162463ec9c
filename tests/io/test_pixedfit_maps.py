"""Maps of properties in piXedfit's FITS layout."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from pxdask.core.config import FitConfig
from pxdask.core.errors import ConfigError, DataError, SchemaError
from pxdask.fitting import FitStage, MapStage
from pxdask.io.pixedfit_maps import read_pixedfit_maps, write_pixedfit_maps
from pxdask.testing import fake_galaxy, library_of

GALAXY = fake_galaxy(rng=np.random.default_rng(4), n_pixel=12, n_band=3, n_model=50)
FIT = FitStage(FitConfig(), lambda _: library_of(GALAXY.models), {}, 0, 999).run(
    GALAXY.row, bins=GALAXY.bins
)
MAPS = MapStage().run(GALAXY.row, cube=GALAXY.cube, bins=GALAXY.bins, fit=FIT)
PARTS = (MAPS, GALAXY.bins, FIT)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "maps_properties.fits"
    write_pixedfit_maps(path, *PARTS, filters=["sdss_g", "sdss_r", "sdss_i"])
    return path


def test_their_reader_finds_our_maps(path):
    """As a user's script does: by the names in the header, and by ``bin-log_mass-p50``."""
    with fits.open(path) as hdus:
        hdus.verify("exception")
        header = hdus[0].header
        assert header["gal_z"] == GALAXY.row["redshift"]
        assert header["nbins"] == GALAXY.bins.sizes["bin"]
        assert header["nHDU"] == len(hdus)
        for number in range(2, int(header["nHDU"])):
            assert hdus[number].name == header[f"HDU{number}"].upper()
        bin_map = GALAXY.bins["bin_map"].values
        inside = bin_map >= 0
        np.testing.assert_array_equal(hdus["galaxy_region"].data == 1, inside)
        for i, statistic in enumerate(("p16", "p50", "p84")):
            painted = hdus[f"bin-log_mass-{statistic}"].data
            want = FIT["log_mass"].values[bin_map[inside], i]
            np.testing.assert_allclose(painted[inside], want, rtol=1e-6)  # float32
            assert (painted[~inside] == -99).all()
            shared = hdus[f"pix-log_mass-{statistic}"].data
            known = np.isfinite(MAPS["log_mass"].values[i])
            np.testing.assert_array_equal(shared[known], MAPS["log_mass"].values[i][known])
            assert (shared[~known] == -99).all()
        # pixels of a bin add up to the bin
        for number in range(GALAXY.bins.sizes["bin"]):
            pixels = hdus["pix-log_sfr-p50"].data[(bin_map == number) & known]
            total = np.log10(np.sum(10.0 ** pixels[pixels > -99]))
            assert total == pytest.approx(FIT["log_sfr"].values[number, 1], abs=1e-5)


def test_what_we_write_comes_back(path):
    found = read_pixedfit_maps(path)
    results = {str(n) for n in FIT.data_vars if FIT[n].dims == ("bin", "quantile")}
    assert set(found.bins) == results
    assert set(found.pixels) == {"log_mass", "log_sfr"} & results
    np.testing.assert_allclose(
        found.pixels["log_mass"]["p84"], MAPS["log_mass"].values[2], rtol=1e-7
    )
    assert found.header["nfilters"] == 3
    assert found.wcs is not None
    assert WCS(found.wcs).wcs.crval == pytest.approx(WCS(MAPS.attrs["wcs"]).wcs.crval)


def test_theirs_of_rdsps(tmp_path):
    """Means and their errors, no WCS, and zeros outside of bins, as piXedfit writes."""
    header = fits.Header({"gal_z": 0.1, "nbins": 1, "HDU2": "bin-dust2-mean", "nHDU": 4})
    header["HDU3"] = "bin-dust2-mean_err"
    region = np.array([[1.0, 0.0]])
    hdus = [fits.PrimaryHDU(header=header), fits.ImageHDU(region, name="galaxy_region")]
    hdus += [fits.ImageHDU(np.array([[0.3, 0.0]]), name="bin-dust2-mean")]
    hdus += [fits.ImageHDU(np.array([[-99.0, 0.0]]), name="bin-dust2-mean_err")]
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    found = read_pixedfit_maps(tmp_path / "a.fits")
    np.testing.assert_array_equal(found.bins["dust2"]["mean"], [[0.3, np.nan]])
    assert np.isnan(found.bins["dust2"]["mean_err"]).all()
    assert found.wcs is None
    assert found.pixels == {}


def test_faults_are_named(path, tmp_path):
    with pytest.raises(ConfigError, match="exists"):
        write_pixedfit_maps(path, *PARTS)
    with pytest.raises(SchemaError, match="wanted one galaxy's"):
        write_pixedfit_maps(tmp_path / "b.fits", MAPS, GALAXY.bins, FIT.isel(bin=slice(1)))
    with fits.open(path) as hdus:
        del hdus[0].header["nHDU"]
        hdus.writeto(tmp_path / "c.fits")
        hdus[0].header["nHDU"], hdus[0].header["HDU2"] = 3, "bin-none-p50"
        hdus.writeto(tmp_path / "d.fits")
        del hdus["GALAXY_REGION"]
        hdus.writeto(tmp_path / "e.fits")
    with pytest.raises(DataError, match=r"c\.fits: HDU 0 has no key NHDU"):
        read_pixedfit_maps(tmp_path / "c.fits")
    with pytest.raises(DataError, match=r"of HDU 0 name \['bin-none-p50'\]"):
        read_pixedfit_maps(tmp_path / "d.fits")
    with pytest.raises(DataError, match=r"e\.fits has no HDU GALAXY_REGION"):
        read_pixedfit_maps(tmp_path / "e.fits")
