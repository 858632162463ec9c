"""Filter curves by name and from files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.bandpass import Filter
from pxdask.core.errors import ConfigError, SchemaError
from pxdask.io.filters import (
    filter_names,
    filters_from_dataset,
    filters_to_dataset,
    load_filters,
)
from pxdask.io.stores import publish, read
from pxdask.kernels.bandpass import pivot_wave


@pytest.mark.parametrize(
    ("name", "pivot"),
    [
        # mission documents; tolerances cover revisions of the curves
        ("galex_fuv", 1535),
        ("galex_nuv", 2301),
        ("sdss_r", 6176),
        ("2mass_j", 12358),
        ("2mass_k", 21603),
        ("wise_w1", 33680),  # Wright (2009), per photon; per energy it would be 33460
        ("wise_w3", 120820),
        ("spitzer_irac_36", 35500),  # IRAC handbook, table 4.1
        ("spitzer_irac_80", 78720),
        ("hst_acs_f435w", 4328),
        ("hst_wfc3_ir_f160w", 15370),
        ("jwst_nircam_f090w", 9022),
        ("herschel_pacs_100", 99600),
    ],
)
def test_names_of_other_programs_and_published_pivots(name, pivot):
    (band,) = load_filters([name])
    assert band.name == name
    scale = 10 if name.startswith("herschel_pacs") else 1
    assert pivot_wave(band) == pytest.approx(scale * pivot, rel=2e-3)


def test_every_known_name_loads_as_a_clean_curve():
    bands = load_filters(filter_names())
    assert len(bands) > 250
    for band in bands:
        assert np.all(np.diff(band.wave) > 0)
        assert np.all(band.transmission >= 0)
        assert np.all(band.transmission[1:-1] >= 0)
        positive = np.flatnonzero(band.transmission)
        assert positive[0] <= 1
        assert positive[-1] >= band.wave.size - 2


def test_bolometers_count_energy():
    names = ["herschel_spire_250", "herschel_pacs_70", "spitzer_mips_24", "wise_w4", "galex_fuv"]
    detectors = [band.detector for band in load_filters(names)]
    assert detectors == ["energy", "energy", "photon", "photon", "photon"]


def test_case_does_not_matter():
    upper, lower = load_filters(["GALEX_FUV", "galex_fuv"])
    np.testing.assert_array_equal(upper.wave, lower.wave)


def test_user_curves_are_cleaned(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("# wave T\n700 0\n500 .5\n300 0\n400 -1e-3\n500 .4\n600 1\n800 0\n900 nan\n")
    (band,) = load_filters([str(path)])
    assert band.name == str(path)
    np.testing.assert_array_equal(band.wave, [400, 500, 600, 700])
    np.testing.assert_array_equal(band.transmission, [0, 0.5, 1, 0])


def test_every_unknown_name_is_given_with_close_ones(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("no numbers\n")
    dark = tmp_path / "dark.txt"
    dark.write_text("1 0\n2 0\n")
    with pytest.raises(ConfigError) as caught:
        load_filters(["sdss_r", "sdss_q", "jwst_f201w", "nonsense", str(text), str(dark)])
    message = str(caught.value)
    assert "'sdss_q' is neither a known filter nor a file; close to" in message
    assert "jwst_f200w" in message
    assert "'nonsense'" in message
    assert "text.txt does not hold two columns" in message
    assert "no two wavelengths around a positive response" in message
    assert "'sdss_r'" not in message


@given(sizes=st.lists(st.integers(2, 5), min_size=1, max_size=4), seed=st.integers(0, 999))
def test_curves_survive_being_a_dataset(sizes, seed):
    rng = np.random.default_rng(seed)
    filters = tuple(
        Filter(
            f"band {i}",
            np.cumsum(rng.uniform(1, 9, n)),
            rng.uniform(0.1, 1, n),
            "energy" if i % 2 else "photon",
        )
        for i, n in enumerate(sizes)
    )
    _assert_same(filters_from_dataset(filters_to_dataset(filters)), filters)


def test_curves_survive_the_store(tmp_path):
    filters = load_filters(["galex_fuv", "herschel_spire_250"])
    publish(filters_to_dataset(filters), tmp_path / "filters.zarr.zip")
    _assert_same(filters_from_dataset(read(tmp_path / "filters.zarr.zip")), filters)


def test_other_datasets_are_refused():
    ds = filters_to_dataset(load_filters(["sdss_r"])).drop_vars("detector")
    with pytest.raises(SchemaError, match="missing variable 'detector'"):
        filters_from_dataset(ds)


def _assert_same(got, expected):
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        assert (one.name, one.detector) == (other.name, other.detector)
        np.testing.assert_array_equal(one.wave, other.wave)
        np.testing.assert_array_equal(one.transmission, other.transmission)
