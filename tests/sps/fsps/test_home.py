"""What SPS_HOME must hold."""

import numpy as np
import pytest

from pxdask.core.errors import ConfigError
from pxdask.sps.fsps.home import (
    Libraries,
    doctor,
    fingerprint,
    gas_nodes,
    installed_libraries,
    missing_files,
    required_files,
    revision,
    torus_table,
    usable_home,
)

MIST = Libraries("0.5.0", "mist", "c3k_lr", "DL07", 13)


def test_the_made_up_home_lacks_nothing(home):
    """And FSPS opens no file that is not listed: the home has little else."""
    assert installed_libraries() == MIST
    assert missing_files(home, MIST) == []
    listed = set(required_files(home, MIST))
    others = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()} - listed
    # two metallicities of C3K that FSPS 4.0 does not read, dusty nebulae and an IMF on request
    assert sorted(others) == [
        "SPECTRA/C3K/c3k_lr/c3k_lr_feh+0.25_afe+0.0.spec.bin",
        "SPECTRA/C3K/c3k_lr/c3k_lr_feh+0.50_afe+0.0.spec.bin",
        "data/imf.dat",
        "nebular/ZAU_WD_mist.cont",
        "nebular/ZAU_WD_mist.lines",
    ]


def _zlegend(home, folder, lines):
    (home / folder).mkdir(parents=True)
    (home / folder / "zlegend.dat").write_text("\n".join(lines) + "\n")


def test_files_of_fsps_3_with_miles(tmp_path):
    """Names as its sps_setup.f90 forms them (python-fsps 0.4.8)."""
    _zlegend(tmp_path, "ISOCHRONES/MIST", ["m2.50", "p0.50"])
    _zlegend(tmp_path, "SPECTRA/MILES", ["0.0008", "0.0300"])
    found = required_files(tmp_path, Libraries("0.4.8", "mist", "miles", "DL07", 12))
    for name in (
        "ISOCHRONES/MIST/isoc_zm2.50.dat",
        "SPECTRA/MILES/imiles_z0.0008.spectra.bin",
        "SPECTRA/MILES/miles.res",
        "SPECTRA/BaSeL3.1/basel_logt.dat",
        "nebular/ZAU_ND_mist.cont",
        "dust/dustem/DL07_MW3.1_60.dat",
    ):
        assert name in found


@pytest.mark.parametrize(
    ("libraries", "wanted"),
    [
        (("0.5.0", "prsc", "miles", "THEMIS"), "dust/dustem/THEMIS_MW3.1_100.dat"),
        (("0.5.0", "prsc", "miles", "DL07"), "SPECTRA/MILES/logt.dat"),
        (("0.4.8", "pdva", "basel", "DL07"), "SPECTRA/BaSeL3.1/basel.lambda"),
        (("0.4.8", "pdva", "c3k_a", "DL07"), "SPECTRA/C3K/c3k_afe+0.0.res"),
        (("0.5.0", "bpss", "bpass", "DL07"), "ISOCHRONES/BPASS/bpass_v2.2_salpeter100.ssp.bin"),
        (("0.5.0", "bpss", "bpass", "DL07"), "nebular/ZAU_WX_ND_bpss.cont"),
    ],
)
def test_files_of_other_builds(tmp_path, libraries, wanted):
    found = required_files(tmp_path, Libraries(*libraries, 15))
    assert wanted in found
    assert not any(name.startswith("nebular") for name in found) or "gnva" not in libraries


def test_metallicities_are_those_of_the_folder(tmp_path):
    _zlegend(tmp_path, "ISOCHRONES/PARSEC", ["0.0001", "0.0600"])
    found = required_files(tmp_path, Libraries("0.5.0", "prsc", "miles", "DL07", 15))
    assert "ISOCHRONES/PARSEC/isoc_z0.0600.dat" in found


def test_versions_that_are_not_known_are_only_tried(tmp_path):
    assert missing_files(tmp_path, Libraries("0.9.0", "mist", "c3k_lr", "DL07", 13)) == []


def test_a_home_must_be_named_and_be_whole(tmp_path, monkeypatch):
    monkeypatch.delenv("SPS_HOME", raising=False)
    with pytest.raises(ConfigError, match="set SPS_HOME to their folder"):
        usable_home(None, MIST)
    monkeypatch.setenv("SPS_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="nowhere is not a folder"):
        usable_home(None, MIST)
    with pytest.raises(ConfigError, match=r"(?s)lacks 66 of the files.*MIST/zlegend.dat"):
        usable_home(tmp_path, MIST)


def test_tables_of_gas_and_torus(home):
    log_z, log_age, log_u = gas_nodes(home, "nebular/ZAU_ND_mist.lines")
    assert (log_z.size, log_age.size, log_u.size) == (11, 10, 7)
    assert log_z[0] == -1.98
    assert log_age[-1] == pytest.approx(np.log10(2e7))
    tau, wave, spectra = torus_table(home)
    assert (tau[0], tau[-1], wave.size) == (5, 150, 125)
    assert spectra.shape == (9, 125)


def test_tables_that_are_none(tmp_path):
    for name in ("lines", "dust/Nenkova08_y010_torusg_n10_q2.0.dat"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#\n#\n#\n1 2\n" + "one two three\n")
    with pytest.raises(ConfigError, match="not a table of nebular lines"):
        gas_nodes(tmp_path, "lines")
    with pytest.raises(ConfigError, match="not a table of tori"):
        torus_table(tmp_path)


def test_revision_of_a_clone(tmp_path):
    assert revision(tmp_path) == ""
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/master\n")
    (git / "packed-refs").write_text("# pack-refs\nabc123 refs/heads/master\n")
    assert revision(tmp_path) == "abc123"
    (git / "refs/heads").mkdir(parents=True)
    (git / "refs/heads/master").write_text("def456\n")
    assert revision(tmp_path) == "def456"
    (git / "HEAD").write_text("0123abc\n")
    assert revision(tmp_path) == "0123abc"


def test_fingerprints_tell_data_apart(tmp_path):
    (tmp_path / "a").write_text("1")
    first = fingerprint(tmp_path, ["a"])
    (tmp_path / "a").write_text("12")
    assert fingerprint(tmp_path, ["a"]) != first


def test_doctor_of_a_good_home(home):
    found = {finding.what: finding for finding in doctor(home)}
    assert all(finding.good for finding in found.values())
    assert "MIST, C3K_LR, DL07" in found["built with"].detail
    assert "all 90 are there" in found["files"].detail
    assert "1936 wavelengths" in found["trial"].detail


def test_doctor_without_a_home(monkeypatch):
    monkeypatch.delenv("SPS_HOME", raising=False)
    last = doctor()[-1]
    assert not last.good
    assert "clone https://github.com/cconroy20/fsps" in last.detail


def test_doctor_of_a_broken_home(home, tmp_path):
    for folder in home.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    (tmp_path / "nebular").unlink()
    found = {finding.what: finding for finding in doctor(tmp_path)}
    assert "2 of 90 are missing: nebular/ZAU_ND_mist.cont" in found["files"].detail
    assert "nebular cont file cannot be opened" in found["trial"].detail
