"""Columns that settings name count in the settings' units, whatever the catalogue's."""

from dataclasses import asdict, fields

import numpy as np
import pytest
from astropy.table import Table
from typer.testing import CliRunner

import pxdask
from pxdask.cli.app import app
from pxdask.core.errors import ConfigError
from pxdask.core.models import ModelConfig
from pxdask.simulate import MOCK_UNITS, MockGalaxy
from pxdask.survey import mock
from pxdask.survey.profile_catalog import fit_profiles
from tests.paths import REPOSITORY
from tests.survey.mini import SIDE, make_survey

REGION = {"kind": "circle", "radius": "size"}


def with_sizes(root, values, unit):
    """Return the catalogue of a small survey with a column of sizes, and the settings."""
    catalog, config = make_survey(root, n_galaxy=1, images={"region": REGION})
    table = Table.read(catalog)
    table["size"] = values
    table["size"].unit = unit
    table.write(catalog, overwrite=True)
    return catalog, config


def test_a_radius_in_minutes_of_arc(tmp_path):
    catalog, config = with_sizes(tmp_path, [0.1], "arcmin")
    run = pxdask.submit(
        catalog, config, tmp_path / "run", root=tmp_path, serial=True, progress=False
    )
    assert run.row("g00")["size"] == pytest.approx(6.0)
    cube = run.dataset("g00", "cube")
    assert cube.attrs["region_semi_major"] == pytest.approx(6.0)
    y, x = np.indices(cube["region"].shape) - (SIDE - 1) / 2  # [arcsec], as pixels are
    np.testing.assert_array_equal(cube["region"].values, np.hypot(y, x) <= 6.0)


def test_mock_galaxies_in_other_units(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(mock, "_make", lambda row, *_: made.append(MockGalaxy.from_row(row)))
    plain = Table.read(REPOSITORY / "catalogs" / "demo.ecsv")
    other = plain.copy()
    for name, unit in {"r_eff": "arcmin", "position_angle": "rad", "age": "Myr"}.items():
        other[name] = other[name].to(unit)
    models = ModelConfig(ssp="synthetic")
    for folder, table in (("a", plain), ("b", other)):
        mock.make_mocks(table, tmp_path / folder, surveys=("sdss",), models=models)
    n = len(plain)
    for one, same in zip(made[:n], made[n:], strict=True):
        for name, value in asdict(one).items():
            wanted = value if isinstance(value, str) else pytest.approx(value, rel=1e-12)
            assert getattr(same, name) == wanted
    assert set(MOCK_UNITS) < {field.name for field in fields(MockGalaxy)}


def test_a_radius_in_another_kind_of_unit_is_refused(tmp_path):
    catalog, config = with_sizes(tmp_path, [3.0], "kpc")
    words = "column size: unit 'kpc' does not convert to arcsec"
    with pytest.raises(ConfigError, match=words):
        pxdask.submit(catalog, config, tmp_path / "run", root=tmp_path, serial=True)
    with pytest.raises(ConfigError, match=words):
        fit_profiles(catalog, config, root=tmp_path, serial=True)
    told = CliRunner().invoke(app, ["check", str(catalog), str(config)])
    assert told.exit_code != 0
    assert words in str(told.exception)
