"""Results of piXedfit's fits."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from pxdask.core.errors import DataError
from pxdask.core.schema import FIT
from pxdask.io.filters import load_filters
from pxdask.io.pixedfit_results import read_pixedfit_fit, read_pixedfit_fits
from pxdask.kernels.bandpass import pivot_wave

FILTERS = ("sdss_g", "sdss_r")
PARAMS = {"log_mass": (9.0, 9.5, 10.0), "log_sfr": (-1.0, -0.5, 0.2), "dust2": (0.1, 0.2, 0.4)}
OBSERVED = {"flux": [1e-16, 2e-16], "flux_err": [1e-17, 1e-17]}


def table(columns, name):
    return fits.BinTableHDU(Table(columns), name=name)


def their_file(path, method="mcmc", *, drop=(), keys=None, shift=0.0):
    """Write a result in the layout of piXedfit: FIT_PARAMS by rows, fluxes [erg s-1 cm-2 A-1]."""
    header = fits.Header({"HIERARCH fitmethod": method, "nparams": 3, "nfilters": 2})
    header["gal_z"] = 0.05
    header.update({f"fil{i}": name for i, name in enumerate(FILTERS)})
    header.update({f"param{i}": name for i, name in enumerate(PARAMS)})
    for key, value in (keys or {}).items():
        if value is None:
            del header[key]
        else:
            header[key] = value
    model = [1.1e-16, 2e-16]
    if method == "mcmc":
        rows = {"rows": ["p16", "p50", "p84"]}
        rows |= {name: np.array(values) + shift for name, values in PARAMS.items()}
        photo = {"wave": [4686.0, 6166.0], **dict.fromkeys(("p16", "p50", "p84"), model)}
        spectrum = {"wave": [4000.0, 7000.0], "tot_p50": [1e-16, 3e-16]}
    else:
        rows = {name: [values[1], values[2] - values[1]] for name, values in PARAMS.items()}
        photo = {"wave": [4686.0, 6166.0], "flux": model}
        spectrum = {"wave": [4000.0, 7000.0], "flux": [1e-16, 3e-16]}
    hdus = {
        "FIT_PARAMS": rows,
        "MINCHI2_PARAMS": {"sfh": ["tau"]} | {name: [row[1]] for name, row in PARAMS.items()},
        "OBS_PHOTO": OBSERVED,
        "BFIT_PHOTO": photo,
        "BFIT_MOD_SPEC": spectrum,
        "SAMPLERS": {"id": [1, 2], "log_mass": [9.4, 9.6], "chi2": [2.0, 3.0]},
    }
    hdus = {name: columns for name, columns in hdus.items() if name not in drop}
    whole = [fits.PrimaryHDU(header=header)] + [table(c, name) for name, c in hdus.items()]
    fits.HDUList(whole).writeto(path)
    return path


@pytest.mark.parametrize("method", ["mcmc", "rdsps"])
def test_what_a_file_tells(tmp_path, method):
    found = read_pixedfit_fit(their_file(tmp_path / "bin1.fits", method))
    assert found.method == method
    assert found.filters == FILTERS
    want = {"p16": 9.0, "p50": 9.5, "p84": 10.0} if method == "mcmc" else {
        "mean": 9.5, "mean_err": 0.5,
    }  # fmt: skip
    assert found.parameters["log_mass"] == want
    assert found.best == {name: values[1] for name, values in PARAMS.items()}
    np.testing.assert_array_equal(found.samples["chi2"], [2.0, 3.0])
    assert "id" not in found.samples
    pivot = np.array([pivot_wave(band) for band in load_filters(FILTERS)])
    # f_nu = f_lambda lambda^2 / c, in 1e-29 erg s-1 cm-2 Hz-1
    factor = pivot**2 / 2.99792458e18 / 1e-29
    np.testing.assert_allclose(found.flux, np.array(OBSERVED["flux"]) * factor, rtol=1e-13)
    np.testing.assert_allclose(found.model_flux, np.array([1.1e-16, 2e-16]) * factor, rtol=1e-13)
    np.testing.assert_allclose(found.model_spectrum, [10.0, 30.0], rtol=1e-13)
    assert found.header["gal_z"] == 0.05


def test_bins_become_a_fit(tmp_path):
    paths = [their_file(tmp_path / f"bin{i}.fits", shift=0.1 * i) for i in range(3)]
    fit = read_pixedfit_fits(paths)
    FIT.validate(fit)
    np.testing.assert_allclose(fit["log_mass"].values[2], [9.2, 9.7, 10.2], rtol=1e-14)
    assert fit["log_mass"].attrs["units"] == "dex(Msun)"
    # one band is off by one error
    np.testing.assert_allclose(fit["chi2"].values, 1.0, rtol=1e-10)
    np.testing.assert_array_equal(fit["n_used"].values, 2)
    assert np.isnan(fit["ln_evidence"].values).all()
    assert "log_mass_mean" not in fit
    assert "quantiles" not in fit.attrs


def test_means_of_rdsps_say_what_their_quantiles_are(tmp_path):
    fit = read_pixedfit_fits([their_file(tmp_path / "a.fits", "rdsps")])
    FIT.validate(fit)
    np.testing.assert_allclose(fit["log_sfr"].values[0], [-1.2, -0.5, 0.2], atol=1e-14)
    assert (fit["log_sfr_mean"].values[0], fit["log_sfr_std"].values[0]) == (-0.5, 0.7)
    assert "normal distribution" in fit.attrs["quantiles"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": {"fitmethod": None}}, r"a\.fits: HDU 0: the key FITMETHOD is None; wanted rdsps"),
        ({"keys": {"fil1": None}}, r"a\.fits: HDU 0 has no key FIL1"),
        ({"drop": ["FIT_PARAMS"]}, r"a\.fits has no HDU FIT_PARAMS; wanted a result"),
        ({"drop": ["OBS_PHOTO"]}, r"a\.fits has no HDU OBS_PHOTO"),
        ({"keys": {"fitmethod": "rdsps"}}, r"HDU FIT_PARAMS has 3 rows; wanted 2 of rdsps"),
        ({"keys": {"param2": "log_tau"}}, r"HDU FIT_PARAMS has no column log_tau"),
        ({"keys": {"nfilters": 1}}, r"there are 1 filters, and HDU OBS_PHOTO or BFIT_PHOTO has 2"),
    ],
)
def test_other_layouts_are_refused_by_name(tmp_path, changes, message):
    path = their_file(tmp_path / "a.fits", **changes)
    with pytest.raises(DataError, match=message):
        read_pixedfit_fit(path)


def test_bins_must_be_alike(tmp_path):
    paths = [their_file(tmp_path / "a.fits"), their_file(tmp_path / "b.fits", "rdsps")]
    with pytest.raises(DataError, match=r"b\.fits: has method rdsps"):
        read_pixedfit_fits(paths)
    with pytest.raises(DataError, match="no files"):
        read_pixedfit_fits([])
