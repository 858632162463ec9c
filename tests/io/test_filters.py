"""Filter curves by name and from files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.bandpass import Filter
from pxdask.core.errors import ConfigError, SchemaError
from pxdask.io import filters as module
from pxdask.io.filter_library import add_filter
from pxdask.io.filters import (
    ALIASES,
    filter_names,
    filters_from_dataset,
    filters_to_dataset,
    find_curve,
    load_filters,
    package_curve,
)
from pxdask.io.stores import publish, read
from pxdask.kernels.bandpass import (
    effective_wave,
    equivalent_width,
    mean_wave,
    pivot_wave,
    vega_like,
)
from tests.io import pixedfit_filters as pixedfit


@pytest.fixture(autouse=True)
def _own_library(tmp_path, monkeypatch):
    monkeypatch.setenv("PXDASK_HOME", str(tmp_path / "home"))


# Wavelengths of mission documents [micron]; tolerances are those of revisions of the curves.
PIVOTS = [
    # Cohen et al. (2003): 2MASS, of a source flat in f_lambda; pivots are a little shorter
    *[(f"2mass_{b}", w, 5e-3) for b, w in (("j", 1.235), ("h", 1.650), ("k", 2.160))],
    # Wright (2009), per photon; per energy W1 would be 3.346
    *[(f"wise_w{i}", w, 2e-3) for i, w in ((1, 3.368), (2, 4.618), (3, 12.08), (4, 22.19))],
    # IRAC instrument handbook, table 4.1
    *[(f"spitzer_irac_{b}", w, 2e-3) for b, w in (("36", 3.550), ("45", 4.493), ("58", 5.731),
                                                  ("80", 7.872))],
    # MIPS instrument handbook, section 2.2: weighted average wavelengths
    *[(f"spitzer_mips_{b}", w, 1e-2) for b, w in ((24, 23.68), (70, 71.42), (160, 155.9))],
    # ACS and WFC3 instrument handbooks
    *[(f"hst_acs_{b}", w, 2e-3) for b, w in (("f435w", 0.4329), ("f606w", 0.5921),
                                             ("f775w", 0.7693), ("f814w", 0.8046),
                                             ("f850lp", 0.9032))],
    *[(f"hst_wfc3_ir_{b}", w, 1e-3) for b, w in (("f105w", 1.0551), ("f110w", 1.1534),
                                                 ("f125w", 1.2486), ("f140w", 1.3923),
                                                 ("f160w", 1.5369))],
    # JWST user documentation: NIRCam, before the revision of May 2024, and MIRI
    *[(f"jwst_{b}", w, 6e-3) for b, w in (("f070w", 0.704), ("f090w", 0.901), ("f115w", 1.154),
                                          ("f150w", 1.501), ("f200w", 1.990), ("f277w", 2.786),
                                          ("f356w", 3.563), ("f410m", 4.092), ("f444w", 4.421))],
    *[(f"jwst_miri_{b}", w, 5e-4) for b, w in (("f560w", 5.635), ("f770w", 7.639),
                                               ("f1000w", 9.953), ("f1500w", 15.064),
                                               ("f2100w", 20.795), ("f2550w", 25.365))],
    # Gonzalez-Fernandez et al. (2018), table 1: VISTA
    *[(f"vista_{b}", w, 5e-3) for b, w in (("z", 0.877), ("y", 1.020), ("j", 1.252),
                                           ("h", 1.645), ("ks", 2.147))],
    # Tonry et al. (2012), table 4: Pan-STARRS1
    *[(f"ps1_{b}", w, 1e-2) for b, w in zip("grizy", (0.481, 0.617, 0.752, 0.866, 0.962),
                                            strict=True)],
    # PACS observer's manual: nominal wavelengths
    *[(f"herschel_pacs_{b}", b, 1e-2) for b in (70, 100, 160)],
    # SPIRE handbook: nominal wavelengths of constant nu f_nu
    *[(f"herschel_spire_{b}", b, 2e-2) for b in (250, 350, 500)],
]  # fmt: skip


@pytest.mark.parametrize(("name", "pivot", "tolerance"), PIVOTS)
def test_pivots_are_the_published_ones(name, pivot, tolerance):
    (band,) = load_filters([name])
    assert band.name == name
    assert pivot_wave(band) / 1e4 == pytest.approx(pivot, rel=tolerance)


def test_mean_wavelengths_of_galex_are_the_published_ones():
    # Morrissey et al. (2007, ApJS 173, 682), table 1, with the very curves
    means = [mean_wave(band) for band in load_filters(["galex_fuv", "galex_nuv"])]
    assert means == pytest.approx([1538.6, 2315.7], rel=1e-4)


def test_effective_wavelengths_of_sdss_are_the_published_ones():
    # SDSS data release 7, "camera": average wavelengths 3551, 4686, 6166, 7480, 8932
    effective = [effective_wave(band) for band in load_filters([f"sdss_{b}" for b in "ugriz"])]
    assert effective == pytest.approx([3551, 4686, 6166, 7480, 8932], rel=3e-4, abs=0.6)


@pytest.mark.parametrize(
    ("name", "wave"),
    [
        ("sdss_i", 7457.9),
        ("jwst_f150w", 14872.6),
        ("jwst_f200w", 19680.4),
        ("wise_w1", 33156.6),
        ("wise_w2", 45645.0),
        ("wise_w3", 107878),
        ("wise_w4", 219150),
    ],
)
def test_effective_wavelengths_under_vega_are_those_of_the_svo(name, wave):
    # its WavelengthEff, with a real spectrum of Vega; a black body lacks the lines: 0.15 per cent
    (band,) = load_filters([name])
    assert effective_wave(band, spectrum=vega_like) == pytest.approx(wave, rel=2e-3)


@pytest.mark.parametrize(("name", "curve", "wave"), pixedfit.table(pixedfit.SERVED))
def test_names_of_pixedfit_mean_the_same_band(name, curve, wave):
    found = find_curve(name)
    assert (found.collection, found.curve) == ("sedpy", curve)
    # its central wavelengths are means, pivots, effective ones: 4.5 per cent apart in wide bands;
    # a wrong band would be farther away, as those of one camera are
    assert pivot_wave(load_filters([name])[0]) == pytest.approx(wave, rel=0.05)


def test_the_name_whose_wavelength_pixedfit_has_wrong():
    # it gives 3351 Angstrom for SDSS u; SDSS itself 3551
    assert find_curve("sdss_u").curve == "sdss_u0"


@pytest.mark.parametrize("name", pixedfit.ABSENT.split())
def test_names_without_a_curve_are_not_served_by_another(name):
    with pytest.raises(ConfigError, match=f"'{name}' is neither a known filter nor a file"):
        load_filters([name])


@pytest.mark.parametrize(
    ("name", "curve"),
    [
        ("ukidss_k", "ukirt_wfcam_K"),
        ("vista_ks", "vista_vircam_Ks"),
        ("hst_acs_wfc_f435w", "acs_wfc_f435w"),
        ("wfc3_f098m", "wfc3_ir_f098m"),
        ("subaru_hsc_i", "hsc_i"),
        ("ps1_y", "panstarrs_y"),
        ("roman_f213", "roman_wfi_f213"),
        ("lsst2023_y", "lsst_baseline_y"),
        ("decam_g", "decam_g"),
        ("jwst_niriss_f115w", "jwst_niriss_f115w"),
    ],
)
def test_names_in_common_use(name, curve):
    assert find_curve(name).curve == curve
    assert find_curve(name.upper()).curve == curve


@pytest.mark.parametrize(("name", "curve", "wave"), pixedfit.table(pixedfit.EUCLID))
def test_curves_of_speclite(name, curve, wave):
    pytest.importorskip("speclite")
    assert find_curve(name).collection == "speclite"
    assert find_curve(name).curve == curve
    (band,) = load_filters([name])
    # nominal centres of 1000 to 4000 Angstrom wide bands
    assert pivot_wave(band) == pytest.approx(wave, rel=0.02)
    assert band.detector == "photon"


def test_units_of_speclite_are_read():
    # the same release of the Rubin observatory, in nm there and in Angstrom in sedpy
    pytest.importorskip("speclite")
    nm, angstrom = load_filters(["lsst2023-r", "lsst_r"])
    assert pivot_wave(nm) == pytest.approx(pivot_wave(angstrom), rel=1e-9)
    assert equivalent_width(nm) == pytest.approx(equivalent_width(angstrom), rel=1e-6)


def test_without_speclite_its_names_say_what_to_install(monkeypatch):
    curves = module._package_curves
    monkeypatch.setattr(
        module, "_package_curves", lambda name: {} if name == "speclite" else curves(name)
    )
    with pytest.raises(ConfigError, match=r"speclite has it as Euclid-VIS: `pip install speclite`"):
        load_filters(["euclid_vis"])
    assert "euclid_vis" not in filter_names()


def test_every_alias_has_a_curve():
    pytest.importorskip("speclite")
    assert [alias for alias in ALIASES if package_curve(alias) is None] == []


def test_every_known_name_loads_as_a_clean_curve():
    bands = load_filters(filter_names())
    assert len(bands) > 300
    for band in bands:
        assert np.all(np.diff(band.wave) > 0)
        assert np.all(band.transmission >= 0)
        positive = np.flatnonzero(band.transmission)
        assert positive[0] <= 1
        assert positive[-1] >= band.wave.size - 2


def test_names_by_pattern():
    assert filter_names("sdss_?") == tuple(f"sdss_{band}" for band in "giruz")
    assert set(filter_names("SPIRE")) == {f"herschel_spire_{wave}" for wave in (250, 350, 500)}
    assert filter_names("nothing*") == ()


def test_bolometers_count_energy():
    names = ["herschel_spire_250", "herschel_pacs_70", "spitzer_mips_24", "wise_w4", "galex_fuv"]
    detectors = [band.detector for band in load_filters(names)]
    assert detectors == ["energy", "energy", "photon", "photon", "photon"]


def test_what_the_detector_of_far_infrared_bands_is_worth():
    # documented: mistaking bolometers for photon counters moves the pivots, and the flux densities
    # per wavelength twice as far
    for name, shift in (("spire_250", 0.9), ("spire_500", 1.5), ("pacs_160", 2.1)):
        (band,) = load_filters([f"herschel_{name}"])
        wrong = Filter(band.name, band.wave, band.transmission, "photon")
        assert 100 * (pivot_wave(wrong) / pivot_wave(band) - 1) == pytest.approx(shift, abs=0.05)


def test_case_does_not_matter():
    upper, lower = load_filters(["GALEX_FUV", "galex_fuv"])
    np.testing.assert_array_equal(upper.wave, lower.wave)


def test_curves_of_the_users_library_come_first(tmp_path):
    path = tmp_path / "box.txt"
    path.write_text("4000 1\n5000 1\n")
    add_filter("Mine", path)
    assert "mine" in filter_names()
    assert find_curve("MINE").collection == "user"
    (band,) = load_filters(["Mine"])
    np.testing.assert_array_equal(band.wave, [4000, 5000])


def test_curves_from_files(tmp_path):
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
