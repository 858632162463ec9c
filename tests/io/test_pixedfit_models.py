"""Model sets in piXedfit's layout."""

import sys

import numpy as np
import pytest
import xarray as xr

from pxdask.core.errors import ConfigError, SchemaError
from pxdask.core.schema import SPECTRA
from pxdask.io.pixedfit_models import read_pixedfit_models, write_pixedfit_models

h5py = pytest.importorskip("h5py")


def made_spectra(*, n_model=5, settings=None, imf="Kroupa", sfr=None, **changes):
    rng = np.random.default_rng(1)
    wave_edges = np.array([1000.0, 2000.0, 2001.0, 3500.0, 9000.0])  # a line's bin, among wide ones
    variables = {
        "log_age": rng.uniform(-1, 1, n_model),
        "log_tau": rng.uniform(-1, 1, n_model),
        "logzsol": rng.uniform(-2, 0.2, n_model),
        "surviving": rng.uniform(0.5, 1, n_model),
        "sfr": rng.uniform(1e-12, 1e-9, n_model) if sfr is None else np.asarray(sfr, float),
        "sfr_10myr": rng.uniform(1e-12, 1e-9, n_model),
        "log_mw_age": rng.uniform(-1, 1, n_model),
        "av": rng.uniform(0, 2, n_model),
        **changes,
    }
    flux = rng.uniform(1e-6, 1e-3, (n_model, wave_edges.size - 1)).astype(np.float32)
    return xr.Dataset(
        {
            "flux": (("model", "wave"), flux, SPECTRA.attrs("flux")),
            "wave_edges": ("edge", wave_edges, SPECTRA.attrs("wave_edges")),
            **{
                name: ("model", value, {"units": ""})
                for name, value in variables.items()
                if value is not None
            },
        },
        coords={
            "wave": ("wave", (wave_edges[1:] + wave_edges[:-1]) / 2, SPECTRA.attrs("wave")),
        },
        attrs={
            "schema": SPECTRA.tag,
            "settings": {
                "sfh": "delayed_tau",
                "dust": "calzetti",
                "dust_emission": False,
                "nebular": True,
                "agn": False,
                **(settings or {}),
            },
            "parameters": ["log_age", "log_tau", "logzsol"],
            "priors": {"log_age": {"kind": "uniform", "low": -1.0, "high": 1.0}},
            "ssp": {"imf": imf},
        },
    )


def their_file(path, **changes):
    """A file of two models as piXedfit's program writes it, by hand."""
    attributes = {
        "imf_type": 1,
        "sfh_form": 4,
        "dust_law": 0,
        "duste_switch": 1,
        "add_neb_emission": 1,
        "add_agn": 0,
        "funit": "L_sun/A",
        "nmodels": 2,
        "nparams": 2,
        "par0": "log_age",
        "par1": "dust1",
        "par2": "log_mass",
        "par3": "log_sfr",
        "par4": "log_mw_age",
        "par5": "log_dustmass",
        "nparams_all": 6,
        "pr_log_age_min": -1.0,
        "pr_log_age_max": 1.1,
        **changes,
    }
    with h5py.File(path, "w") as file:
        group = file.create_group("mod")
        group.attrs.update({key: value for key, value in attributes.items() if value is not None})
        for name, value in {
            "log_age": [0.0, 1.0],
            "dust1": [0.5, 1.5],
            "log_mass": [0.0, 0.0],
            "log_sfr": [-10.0, -33.0],
            "log_mw_age": [-0.3, 0.9],
            "log_dustmass": [-3.0, -5.0],
        }.items():
            group[f"par/{name}"] = value
        group["spec/wave"] = [1000.0, 1100.0, 1300.0]
        group["spec/f0"] = [1e-3, 2e-3, 3e-3]
        group["spec/f1"] = [1e-5, 2e-5, 3e-5]
    return path


def test_their_files_are_read_per_surviving_mass(tmp_path):
    ds = SPECTRA.validate(read_pixedfit_models(their_file(tmp_path / "theirs.hdf5")))
    assert ds.attrs["per_mass"] == "surviving"
    assert ds.attrs["parameters"] == ["log_age", "dust1"]
    assert ds.attrs["priors"] == {"log_age": {"kind": "uniform", "low": -1.0, "high": 1.1}}
    assert ds.attrs["ssp"]["imf"] == "Chabrier"
    assert ds.attrs["settings"] == {
        "sfh": "double_power_law",
        "dust": "charlot_fall",
        "dust_emission": True,
        "nebular": True,
        "agn": False,
    }
    np.testing.assert_array_equal(ds["surviving"], 1)
    np.testing.assert_allclose(ds["sfr"], [1e-10, 0], rtol=1e-12)  # -33 stands for none
    np.testing.assert_allclose(ds["dust_mass"], [1e-3, 1e-5], rtol=1e-12)
    assert (ds["sfr"].attrs["reported_as"], ds["surviving"].attrs["reported_as"]) == (
        "log_sfr",
        "log_mass",
    )
    assert "log_mass" not in ds
    np.testing.assert_array_equal(ds["wave"], [1000, 1100, 1300])
    np.testing.assert_array_equal(ds["wave_edges"], [950, 1050, 1200, 1400])
    np.testing.assert_allclose(ds["flux"][1], [1e-5, 2e-5, 3e-5], rtol=1e-6)
    assert ds["log_age"].attrs["units"] == "dex(Gyr)"


def test_other_masses_scale_out(tmp_path):
    path = their_file(tmp_path / "heavy.hdf5")
    with h5py.File(path, "a") as file:
        file["mod/par/log_mass"][:] = [2.0, 0.0]
    ds = read_pixedfit_models(path)
    np.testing.assert_allclose(ds["flux"][0], [1e-5, 2e-5, 3e-5], rtol=1e-6)
    np.testing.assert_allclose(ds["sfr"][0], 1e-12)
    np.testing.assert_allclose(ds["surviving"], 1)


def test_what_is_written_is_read_again(tmp_path):
    written = made_spectra()
    write_pixedfit_models(tmp_path / "ours.hdf5", written)
    ds = read_pixedfit_models(tmp_path / "ours.hdf5")
    assert ds.attrs["per_mass"] == "formed"
    for name in ("settings", "parameters"):
        assert ds.attrs[name] == written.attrs[name]
    assert ds.attrs["priors"]["log_age"] == {"kind": "uniform", "low": -1.0, "high": 1.0}
    assert ds.attrs["priors"]["log_tau"]["low"] == written["log_tau"].values.min()
    for name in written.variables:
        # float32 there and back, logarithms there and back
        rtol = 3e-7 if name == "flux" else 1e-12
        np.testing.assert_allclose(ds[name], written[name], rtol=rtol, err_msg=name)
    assert set(ds.variables) - set(written.variables) == {"formed"}
    np.testing.assert_allclose(ds["formed"], 1)


def test_the_layout_is_theirs(tmp_path):
    written = made_spectra(sfr=[0, 1e-10, 1e-10, 1e-10, 1e-50])
    write_pixedfit_models(tmp_path / "ours.hdf5", written)
    with h5py.File(tmp_path / "ours.hdf5") as file:
        group = file["mod"]
        listed = [group.attrs[f"par{i}"] for i in range(group.attrs["nparams_all"])]
        assert listed == ["log_age", "log_tau", "logzsol", "log_mass", "log_sfr", "log_mw_age"]
        assert all(group[f"par/{name}"].shape == (5,) for name in listed)
        wanted = {
            "imf_type": 2,
            "sfh_form": 1,
            "dust_law": 1,
            "duste_switch": 0,
            "add_neb_emission": 1,
            "add_agn": 0,
            "free_gas_logz": 0,
            "nmodels": 5,
            "nparams": 3,
            "pr_log_age_min": -1.0,
            "pr_log_age_max": 1.0,
        }
        assert {key: group.attrs[key] for key in wanted} == wanted
        np.testing.assert_array_equal(group["par/log_mass"], 0)
        log_sfr = np.log10(written["sfr"].values[1:] / written["surviving"].values[1:])
        np.testing.assert_allclose(group["par/log_sfr"][1:], log_sfr)
        assert group["par/log_sfr"][0] == -33
        # their program interpolates linearly between samples: the energy must be the bins'
        wave, flux = group["spec/wave"][:], group["spec/f3"][:]
        assert np.all(np.diff(wave) > 0)
    energy = np.sum(written["flux"][3] * np.diff(written["wave_edges"]))
    expected = float(energy / written["surviving"][3])
    assert np.trapezoid(flux, wave) == pytest.approx(expected, rel=1e-5)
    ds = read_pixedfit_models(tmp_path / "ours.hdf5")
    np.testing.assert_allclose(ds["sfr"], written["sfr"])  # 1e-50 is little, but not nothing


def test_gas_metallicity_dust_and_agn_are_told(tmp_path):
    spectra = made_spectra(
        settings={"dust_emission": True, "agn": True, "dust": "charlot_fall", "sfh": "tau"},
        imf="Chabrier (2003)",
        dust_mass=np.full(5, 1e-3),
        log_fagn_bol=np.full(5, -1.0),
        gas_logz=np.linspace(-1, 0, 5),
    )
    spectra.attrs["parameters"] = [*spectra.attrs["parameters"], "gas_logz", "redshift"]
    write_pixedfit_models(tmp_path / "ours.hdf5", spectra)
    with h5py.File(tmp_path / "ours.hdf5") as file:
        attrs = dict(file["mod"].attrs)
    assert (attrs["free_gas_logz"], attrs["imf_type"], attrs["sfh_form"]) == (1, 1, 0)
    assert (attrs["dust_law"], attrs["duste_switch"], attrs["add_agn"]) == (0, 1, 1)
    assert [attrs[f"par{i}"] for i in range(7, attrs["nparams_all"])] == [
        "log_dustmass",
        "log_fagn_bol",
    ]
    ds = read_pixedfit_models(tmp_path / "ours.hdf5")
    np.testing.assert_allclose(ds["dust_mass"], 1e-3)


def test_nothing_is_overwritten_unasked(tmp_path):
    path = tmp_path / "ours.hdf5"
    path.write_text("mine")
    with pytest.raises(ConfigError, match=r"ours.hdf5 exists"):
        write_pixedfit_models(path, made_spectra())
    assert path.read_text() == "mine"
    write_pixedfit_models(path, made_spectra(), overwrite=True)
    assert read_pixedfit_models(path).sizes["model"] == 5


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(ConfigError, match="need log_mw_age, which the spectra lack"):
        write_pixedfit_models(tmp_path / "ours.hdf5", made_spectra(log_mw_age=None))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spectra", "message"),
    [
        (made_spectra(settings={"sfh": "continuity"}), "no star formation history 'continuity'"),
        (made_spectra(settings={"dust": "kriek_conroy"}), "no attenuation law 'kriek_conroy'"),
        (made_spectra(imf="none"), "no initial mass function 'none'; it has Salpeter"),
        (made_spectra(settings={"dust_emission": True}), "need log_dustmass"),
        (made_spectra(surviving=None), "lack 'surviving'"),
    ],
)
def test_models_that_they_lack_are_named(tmp_path, spectra, message):
    with pytest.raises(ConfigError, match=message):
        write_pixedfit_models(tmp_path / "ours.hdf5", spectra)


def test_other_datasets_are_refused(tmp_path):
    with pytest.raises(SchemaError, match="spectra/1"):
        write_pixedfit_models(tmp_path / "ours.hdf5", xr.Dataset())
    spectra = made_spectra()
    del spectra.attrs["settings"]
    with pytest.raises(ConfigError, match=r"lack the attributes \['settings'\]"):
        write_pixedfit_models(tmp_path / "ours.hdf5", spectra)


def damaged(name):
    """A change of their file, and what the message must say."""

    def change(path):
        with h5py.File(path, "a") as file:
            if name == "size":
                del file["mod/spec/f1"]
                file["mod/spec/f1"] = [1.0, 2.0]
            elif name == "order":
                file["mod/spec/wave"][:] = [1000.0, 900.0, 1300.0]
            else:
                del file[name]

    return change


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mod", r"theirs.hdf5 is not .*: / lacks 'mod'; it has nothing"),
        ("mod/par/dust1", r"/mod/par lacks 'dust1'; it has log_age, log_dustmass"),
        ("mod/spec", r"/mod lacks 'spec'; it has par"),
        ("mod/spec/wave", r"/mod/spec lacks 'wave'; it has f0, f1"),
        ("mod/spec/f1", r"/mod/spec lacks 'f1'; it has f0, wave"),
        ("size", r"f1 has the shape \(2,\); \(3,\) is expected"),
        ("order", r"spec/wave must be positive and increase"),
    ],
)
def test_files_of_another_kind_are_named(tmp_path, name, message):
    path = their_file(tmp_path / "theirs.hdf5")
    damaged(name)(path)
    with pytest.raises(ConfigError, match=message):
        read_pixedfit_models(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nmodels": None}, r"/mod lacks the attribute 'nmodels'; it has add_agn, .*, \.\.\."),
        ({"sfh_form": 7}, "sfh_form is 7; it should be 0 to 4"),
        ({"funit": "erg/s"}, "funit is 'erg/s'; spectra in 'L_sun/A'"),
        ({"nmodels": 3}, "lacks 'f2'"),
        ({"nmodels": 1}, r"has the shape \(2,\); \(1,\)"),
    ],
)
def test_other_attributes_are_named(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        read_pixedfit_models(their_file(tmp_path / "theirs.hdf5", **changes))


def test_other_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match="there is no file"):
        read_pixedfit_models(tmp_path / "absent.hdf5")
    (tmp_path / "text.hdf5").write_text("not HDF5")
    with pytest.raises(ConfigError, match=r"text.hdf5 is not an HDF5 file"):
        read_pixedfit_models(tmp_path / "text.hdf5")


def test_absence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ConfigError, match=r'pip install "pxdask\[hdf5\]"'):
        write_pixedfit_models(tmp_path / "ours.hdf5", made_spectra())
