import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from pxdask.core.errors import SchemaError
from pxdask.io.profiles import write_profiles_fits
from tests.images.skies import DEC, RA
from tests.morphology.standins import profiles

HEADER = {"id": "g1", "ra": RA, "dec": DEC, "redshift": 0.05, "RUNNAME": "mini"}


@pytest.fixture
def path(tmp_path):
    write_profiles_fits(tmp_path / "p.fits", profiles=profiles(), header=HEADER)
    return tmp_path / "p.fits"


def test_residuals_are_data_less_model(path):
    with fits.open(path) as hdus:
        data, model, left = (hdus[f"{name}_R"].data for name in ("DATA", "MODEL", "RESIDUAL"))
        np.testing.assert_array_equal(left, data - model)
        assert np.isnan(hdus["DATA_G"].data[2, 3])
        assert np.isfinite(hdus["MODEL_G"].data[2, 3])
        assert hdus["DATA_G"].header["BUNIT"] == "uJy"
        assert hdus["DATA_G"].header["BAND"] == "g"
        assert hdus[0].header["RUNNAME"] == "mini"


def test_empty_margins_are_left_out_and_the_sky_stays_in_place(path):
    with fits.open(path) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert hdus["DATA_R"].data.shape == (12, 12)
        assert hdus["DATA_I"].data.shape == (8, 8)
        for band, middle in (("R", 5.5), ("I", 3.5)):
            wcs = WCS(hdus[f"MODEL_{band}"].header)
            # the galaxy is in the middle of each stamp
            x, y = wcs.world_to_pixel_values(RA, DEC)
            assert (float(x), float(y)) == pytest.approx((middle, middle), abs=1e-6)


def test_the_table_has_a_row_for_each_source_and_band(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = Table.read(path, hdu="PROFILES")
    assert list(table["source"]) == ["galaxy"] * 3 + ["1"] * 3
    assert list(table["band"]) == ["g", "r", "i"] * 2
    assert str(table["r_eff_p50"].unit) == "arcsec"
    assert table["r_eff_p50"][1] == pytest.approx(2.2)
    assert table["r_eff_p84"][0] - table["r_eff_p16"][0] == pytest.approx(0.2)
    assert table["n_std"][2] == 0.05
    assert table["flags"].dtype.kind == "i"


def test_equal_content_gives_equal_bytes(path, tmp_path):
    write_profiles_fits(tmp_path / "again.fits", profiles=profiles(), header=HEADER)
    assert (tmp_path / "again.fits").read_bytes() == path.read_bytes()


def test_other_datasets_are_refused(tmp_path):
    with pytest.raises(SchemaError, match="morphology/1"):
        write_profiles_fits(
            tmp_path / "p.fits", profiles=profiles().drop_vars("chi2"), header=HEADER
        )
