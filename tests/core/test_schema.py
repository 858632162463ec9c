"""A Dataset is held against its declaration, and every difference is named."""

import numpy as np
import pytest
import xarray as xr

from pxdask.core.errors import SchemaError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.schema import BINS, FIT, MAPS, SCHEMAS


def maps(**changes):
    attrs = {"units": "mag", "long_name": "attenuation"}
    ds = xr.Dataset(
        {"av": (("quantile", "y", "x"), np.zeros((3, 2, 2), "f4"), attrs)},
        coords={"quantile": ("quantile", np.array([0.16, 0.5, 0.84]), MAPS.attrs("quantile"))},
        attrs={"schema": "maps/1"},
    )
    return ds.assign(changes)


def test_valid_dataset_comes_back_unchanged():
    ds = maps()
    assert MAPS.validate(ds) is ds


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ((("y", "x"), np.zeros((2, 2), "f4"), {"units": "mag"}), "dims"),
        ((("quantile", "y", "x"), np.zeros((3, 2, 2)), {"units": "mag"}), "dtype"),
        ((("quantile", "y", "x"), np.zeros((3, 2, 2), "f4"), {"units": "furlongz"}), "furlongz"),
        ((("quantile", "y", "x"), np.zeros((3, 2, 2), "f4"), {}), "unit"),
    ],
)
def test_open_variable_is_checked(variable, words):
    with pytest.raises(SchemaError, match=words):
        MAPS.validate(maps(other=variable))


def test_all_problems_are_named_at_once():
    ds = xr.Dataset({"flux": ("bin", np.zeros(2), {"units": "mag"}), "surprise": 1.0})
    problems = "\n".join(BINS.problems(ds))
    for word in ("schema", "surprise", "bin_map", "dims", "units", "n_pix"):
        assert word in problems


def test_tags_are_unique_and_units_parse():
    assert set(SCHEMAS) >= {"image/1", "bins/1", "models/1", "fit/2", "maps/1"}
    assert FIT.attrs("model_flux")["units"] == "uJy"


def test_flags_follow_cf():
    attrs = flag_attrs()
    assert attrs["flag_masks"] == [2**bit for bit in range(len(Flag))]
    assert str(attrs["flag_meanings"]).split()[2] == "edge"
    assert Flag.EDGE | Flag.NO_DATA == 5
