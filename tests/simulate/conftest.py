import pytest

from pxdask.simulate import NEARBY, SURVEYS, MockGalaxy, truth_maps
from tests.simulate.engines import ToyEngine

ROW = {
    "id": "toy",
    "ra": 150.1,
    "dec": 2.2,
    "redshift": 0.02,
    "log_mass": 10.6,
    "r_eff": 15.0,
    "bulge_fraction": 0.15,
    "axis_ratio": 0.7,
    "position_angle": 30.0,
}


@pytest.fixture(scope="session")
def galaxy():
    return MockGalaxy.from_row(ROW)


@pytest.fixture(scope="session")
def bands():
    return [band.name for name in NEARBY for band in SURVEYS[name].bands]


@pytest.fixture(scope="session")
def truth(galaxy, bands):
    return truth_maps(galaxy, engine=ToyEngine(len(bands)), bands=bands)
