import numpy as np
import pytest

from pxdask.core.errors import ConfigError
from pxdask.simulate import MockGalaxy
from pxdask.simulate.galaxy import _bulge_density, structure
from tests.simulate.conftest import ROW


def smooth(**changes):
    return MockGalaxy.from_row({**ROW, "arm_strength": 0.0, **changes})


def places(half=90.0, step=1.0):
    north, east = np.meshgrid(*(np.arange(-half, half + step, step),) * 2, indexing="ij")
    return {"north": north, "east": east, "step": step}


def at(galaxy, east, north):
    made = structure(galaxy, east=np.array([[east]]), north=np.array([[north]]), step=0.5)
    return {name: getattr(made, name).item() for name in made.__slots__}


def test_half_the_disc_lies_within_r_eff():
    grid = places(half=120.0, step=0.5)
    galaxy = smooth(bulge_fraction=0.0, axis_ratio=1.0)
    made = structure(galaxy, **grid)
    inside = np.hypot(grid["east"], grid["north"]) < galaxy.r_eff
    # 3e-3: square pixels of 0.5" approximate a circle of 15"
    assert made.weight[inside].sum() / made.weight.sum() == pytest.approx(0.5, abs=3e-3)


def test_bulge_holds_its_part_of_the_mass():
    radius = np.geomspace(1e-5, 100.0, 20000)
    rings = 2 * np.pi * radius**2 * _bulge_density(radius, r_eff=3.0)
    assert np.trapezoid(rings, np.log(radius)) == pytest.approx(1.0, abs=1e-4)


def test_major_axis_points_along_the_position_angle():
    galaxy = smooth(position_angle=30.0, axis_ratio=0.5, bulge_fraction=0.0)
    grid = places()
    weight = structure(galaxy, **grid).weight
    xx, yy, xy = (
        np.sum(weight * grid[a] * grid[b])
        for a, b in (("east", "east"), ("north", "north"), ("east", "north"))
    )
    angle = 0.5 * np.rad2deg(np.arctan2(2 * xy, yy - xx))
    assert angle == pytest.approx(30.0, abs=0.1)


def test_metallicity_falls_by_a_tenth_of_a_dex_per_effective_radius():
    galaxy = smooth(bulge_fraction=0.0, position_angle=0.0)
    inner, outer = at(galaxy, 0.0, 7.5), at(galaxy, 0.0, 22.5)
    assert outer["logzsol"] - inner["logzsol"] == pytest.approx(-0.1)


@pytest.mark.parametrize("name", ["log_age", "logzsol", "dust2", "weight"])
def test_centre_is_older_richer_dustier_denser(name):
    galaxy = smooth()
    values = [at(galaxy, 0.0, radius)[name] for radius in (2.0, 10.0, 20.0, 40.0)]
    assert values == sorted(values, reverse=True)


def test_discs_grow_inside_out():
    galaxy = smooth()
    assert at(galaxy, 0.0, 30.0)["log_tau"] > at(galaxy, 0.0, 1.0)["log_tau"]


def test_arms_are_younger_dustier_and_denser_than_the_disc_between():
    galaxy = MockGalaxy.from_row({**ROW, "axis_ratio": 1.0, "bulge_fraction": 0.0})
    angle = np.linspace(0, 2 * np.pi, 721)
    ring = {"east": 15 * np.sin(angle)[None], "north": 15 * np.cos(angle)[None], "step": 0.5}
    made = structure(galaxy, **ring)
    arm, gap = np.argmax(made.weight), np.argmin(made.weight)
    assert made.weight[0, arm] / made.weight[0, gap] == pytest.approx(1 + galaxy.arm_strength)
    assert made.log_age[0, arm] < made.log_age[0, gap]
    assert made.log_tau[0, arm] > made.log_tau[0, gap]
    assert made.dust2[0, arm] > made.dust2[0, gap]
    peaks = np.sum(np.diff(np.sign(np.diff(made.weight[0, :-1], append=made.weight[0, 0]))) < 0)
    assert peaks == galaxy.n_arms


def test_nothing_is_older_than_its_oldest_part():
    galaxy = smooth(age=10.5)
    made = structure(galaxy, **places())
    assert made.log_age.max() <= np.log10(11.0)


def test_columns_of_no_meaning_to_a_mock_are_ignored():
    assert MockGalaxy.from_row({**ROW, "observer": "nobody"}).id == "toy"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"axis_ratio": 1.5}, "axis_ratio is 1.5, not from 0.05 to 1"),
        ({"bulge_fraction": -0.1}, "bulge_fraction is -0.1"),
        ({"redshift": 0.0}, "redshift is 0.0, not positive"),
        ({"r_eff": float("nan")}, "r_eff is nan"),
        ({"pitch_angle": 0.0}, "pitch_angle 0"),
        ({"n_arms": 2.5}, "2.5 is not a whole number"),
        ({"log_mass": "heavy"}, "no mock galaxy.*heavy"),
    ],
)
def test_impossible_galaxies_are_refused(change, text):
    with pytest.raises(ConfigError, match=text):
        MockGalaxy.from_row({**ROW, **change})


def test_missing_columns_are_named():
    row = {name: value for name, value in ROW.items() if name != "r_eff"}
    with pytest.raises(ConfigError, match="r_eff"):
        MockGalaxy.from_row(row)
