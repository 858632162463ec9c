"""A galaxy's whole light beside the sum over its bins."""

import math

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.units import Unit
from hypothesis import given
from hypothesis import strategies as st

import pxdask
from pxdask.survey.outshining import log_sum, outshining
from tests.survey.mini import make_survey

logs = st.lists(st.floats(-5.0, 12.0), min_size=1, max_size=9)


def test_two_equal_masses_are_twice_one():
    # 2 x 10^9; each is uncertain by (10^9.1 - 10^8.9) / 2 = 2.323e8, both by that times root 2:
    # 2.323e8 root 2 / (2e9 ln 10) = 0.07134 dex
    total, total_err = log_sum(*(np.full(2, value) for value in (8.9, 9.0, 9.1)))
    assert total == pytest.approx(9 + math.log10(2), abs=1e-12)
    assert total_err == pytest.approx(0.07134, abs=1e-5)


@given(logs, st.floats(0.0, 1.0), st.floats(-3.0, 3.0))
def test_another_unit_shifts_the_sum_alone(values, width, shift):
    middle = np.array(values)
    one = log_sum(middle - width, middle, middle + width)
    other = log_sum(middle - width + shift, middle + shift, middle + width + shift)
    assert other[0] - shift == pytest.approx(one[0], abs=1e-9)
    assert other[1] == pytest.approx(one[1], abs=1e-9)
    assert one[0] >= middle.max() - 1e-12


def test_parts_that_are_not_known_are_left_out():
    nothing = np.array([np.nan, np.nan])
    assert all(map(math.isnan, log_sum(nothing, nothing, nothing)))
    known = log_sum(np.array([1.0]), np.array([2.0]), np.array([3.0]))
    assert log_sum(*(np.array([value, np.nan]) for value in (1.0, 2.0, 3.0))) == known


def test_the_difference_is_that_of_the_sum_and_the_whole():
    def quantiles(rows):
        attrs = {"units": "dex(Msun)", "long_name": "mass"}
        values = xr.DataArray(rows, dims=("bin", "quantile"), attrs=attrs)
        return xr.Dataset({"log_mass": values}, {"quantile": [0.16, 0.5, 0.84]})

    facts = outshining(
        quantiles([[8.9, 9.0, 9.1]] * 2), quantiles([[9.0, 9.1, 9.2]]), names=["log_mass"]
    )
    assert float(facts["log_mass_difference"]) == pytest.approx(math.log10(2) - 0.1, abs=1e-12)
    expected = math.hypot(0.07134, 0.1)
    assert float(facts["log_mass_difference_err"]) == pytest.approx(expected, abs=1e-5)
    assert facts["log_mass_integrated"].values.tolist() == [9.0, 9.1, 9.2]


def test_a_survey_tells_both_when_it_is_asked(tmp_path):
    catalog, config = make_survey(tmp_path, 1)
    choices = {"root": tmp_path, "serial": True, "progress": False}
    run = pxdask.submit(catalog, config, tmp_path / "run", **choices)
    n_row = len(run.manifest())
    run.collect(formats=["fits"])
    assert "log_mass_difference" not in run.table().colnames
    config.write_text(config.read_text().replace("fit:\n", "fit:\n  integrated: true\n"))
    run = pxdask.submit(catalog, config, tmp_path / "run", update=True, **choices)
    assert list(run.manifest()["stage"][n_row:]) == ["integrated"]
    bins, whole = run.dataset("g00", "bins"), run.dataset("g00", "integrated")
    assert whole.attrs["recipe"]["outputs"]["bins"] == bins.attrs["key"]
    run.collect(formats=["fits"])
    table = run.table()
    for name in ("log_mass", "log_sfr"):
        for end in ("difference", "difference_err", "resolved_err"):
            assert table[f"{name}_{end}"].unit == Unit("dex")
        assert table[f"{name}_integrated_p50"].unit == table[name].unit
        of_whole = whole[name].sel(quantile=0.5).values
        np.testing.assert_array_equal(np.asarray(table[f"{name}_integrated_p50"]), of_whole)
        difference = np.asarray(table[name]) - of_whole
        found = np.asarray(table[f"{name}_difference"])
        np.testing.assert_allclose(found, difference, atol=1e-12)
    # one population all over the disc: the sum over bins is the whole, within what both know
    pull = np.asarray(table["log_mass_difference"]) / np.asarray(table["log_mass_difference_err"])
    assert np.all(np.abs(pull) < 3)
    names = set(fits.getdata(run.store / "summary.fits", 1).names)
    assert {"log_mass_difference_err", "log_sfr_integrated_p84"} <= names
