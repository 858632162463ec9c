import pytest

from pxdask.core.errors import ConfigError
from pxdask.core.morphology import SHAPES, MorphologyConfig, shape_range
from pxdask.core.settings import FileSettings


class _File(FileSettings):
    """Settings with profiles, as a survey's are."""

    morphology: MorphologyConfig


def refused(**changes):
    with pytest.raises(ConfigError) as caught:
        _File.parse({"morphology": changes})
    return str(caught.value)


def test_a_prior_of_a_shape_that_the_profile_lacks_names_those_it_has():
    prior = {"disc_r_eff": {"mean": 2.0, "std": 0.1}}
    told = refused(profile="sersic", priors=prior)
    assert "priors of ['disc_r_eff']" in told
    assert str(list(SHAPES["sersic"])) in told
    assert _File.parse({"morphology": {"profile": "sersic_exponential", "priors": prior}})
    assert "['xc', 'yc']" in refused(profile="point", priors={"n": {"mean": 1.0, "std": 0.1}})


@pytest.mark.parametrize("std", [0, -1, "-1"])
def test_a_prior_has_a_width(std):
    assert "priors.n.std: wanted a width above 0" in refused(priors={"n": {"mean": 2, "std": std}})


@pytest.mark.parametrize(
    ("name", "mean", "wanted"),
    [("n", 12, "from 0.2 to 10"), ("ellip", -0.1, "from 0 to 0.95"), ("r_eff", 0, "above 0")],
)
def test_a_mean_is_within_what_is_possible(name, mean, wanted):
    told = refused(priors={name: {"mean": mean, "std": 1}})
    assert f"the prior of {name} has a mean of {mean:g}; wanted one {wanted}" in told


def test_means_at_an_end_and_columns_are_taken():
    priors = {
        "ellip": {"mean": 0, "std": 0.1},
        "n": {"mean": "n_ground", "std": "n_ground_err"},
        "xc": {"mean": -3, "std": 1},
    }
    assert _File.parse({"morphology": {"priors": priors}}).morphology.priors["ellip"].mean == 0


def test_the_index_of_a_bulge_has_its_own_range():
    assert shape_range("n", "sersic") == (0.2, 10.0)
    assert shape_range("n", "sersic_exponential") == (0.5, 10.0)
    bulge = {"profile": "sersic_exponential", "priors": {"n": {"mean": 0.3, "std": 0.1}}}
    assert "from 0.5 to 10" in refused(**bulge)
