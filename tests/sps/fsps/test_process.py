"""A process of python-fsps: what comes back, and what is said when nothing does."""

import pytest

from pxdask.core.errors import ConfigError
from pxdask.sps.fsps.process import ask
from tests.sps.fsps.shared import need_fsps


def test_a_description_needs_no_data():
    need_fsps()
    facts = ask("describe", home=None).facts
    assert (facts["isochrones"], facts["spectra"], facts["dust"]) == ("mist", "c3k_lr", "DL07")
    assert facts["n_wave"] == 1936


def test_a_fortran_stop_is_an_error_that_quotes_it(home, tmp_path):
    """Exit code 0 and no exception: only the missing result tells."""
    broken = tmp_path / "home"
    broken.mkdir()
    for folder in home.iterdir():
        (broken / folder.name).symlink_to(folder)
    (broken / "dust").unlink()
    with pytest.raises(ConfigError, match=r"(?s)exit code 0.*doctor.*SPS_SETUP ERROR: error open"):
        ask("probe", home=broken)


def test_a_python_error_is_one_line(home):
    arguments = {"imf_type": 1, "options": {"no_such": 1}, "nodes": {}, "has_nebulae": True}
    with pytest.raises(ConfigError, match=r"(?s)exit code 1.*TypeError.*no_such") as caught:
        ask("extract", home=home, arguments=arguments)
    assert "Traceback" not in str(caught.value)


def test_time_is_limited(home):
    with pytest.raises(ConfigError, match=r"no answer to 'probe' in 0 s"):
        ask("probe", home=home, timeout=0.2)


def test_fsps_keeps_short_names_only(tmp_path):
    need_fsps()
    with pytest.raises(ConfigError, match=r"characters; FSPS takes up to 180"):
        ask("probe", home=tmp_path / ("x" * 200))


def test_without_python_fsps(monkeypatch):
    monkeypatch.setattr("pxdask.sps.fsps.process.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r'pip install "pxdask\[fsps\]"'):
        ask("describe", home=None)
