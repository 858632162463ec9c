"""The registry as text, and the page that is made of it."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError
from pxdask.core.models import ModelConfig, Sfh
from pxdask.kernels.dust import LAWS
from pxdask.sps.parameters import PARAMETERS, model_parameters, parameter
from pxdask.sps.tables import describe_models, describe_prior, parameter_table
from tests.paths import REPOSITORY

DUST = get_args(ModelConfig.model_fields["dust"].annotation)


def rows(text):
    """Return the cells of a Markdown page's tables."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_is_the_registry():
    page = (REPOSITORY / "docs" / "parameters.md").read_text(encoding="utf-8")
    assert page == parameter_table(), (
        "write docs/parameters.md anew: python -c 'from pxdask.sps.tables import parameter_table;"
        ' print(parameter_table(), end="")\' > docs/parameters.md'
    )


def test_every_entry_has_a_row_with_its_unit_and_meaning():
    table = {row[0].strip("`"): row for row in rows(parameter_table())}
    for name, entry in PARAMETERS.items():
        assert table[name][1] == entry.unit
        assert table[name][-1] == entry.meaning
    # by hand
    assert table["log_tau"][2:4] == ["uniform, -1 to 1.5", "-1.5 to 4"]
    assert table["gas_logu"][2:4] == ["-3", ""]
    assert table["dust_bump"][2] == "is 0.85 - 1.9 dust_index"
    assert table["logsfr_ratio_<i>"][2] == "Student's t at 0, width 0.3, dof 2, -5 to 5"
    assert table["log_sfr_<n>myr"][2] == "star formation rate, mean of the last n Myr"


def test_every_form_has_a_row_with_its_parameters():
    table = {row[0].strip("`"): row for row in rows(parameter_table())}
    assert set(get_args(Sfh)) | set(DUST) <= table.keys()
    assert set(LAWS) == set(DUST)
    assert table["double_power_law"][2] == "`log_age`, `log_tau`, `log_alpha`, `log_beta`"
    assert table["continuity"][2] == "`logsfr_ratio_<i>`"
    assert table["tau"][2] == "`log_age`, `log_tau`"
    assert table["charlot_fall"][2] == "`dust1`, `dust2`, `dust_index`"
    assert table["dust_emission"][1] == "`log_umin`, `log_gamma`, `log_qpah`"


def test_tables_are_rectangular():
    """A bar in a meaning would add a cell and lose the rest of the row."""
    page = parameter_table().split("\n\n")
    for block in (text for text in page if text.startswith("|")):
        assert len({len(row) for row in rows(block)}) == 1


@given(
    sfh=st.sampled_from(get_args(Sfh)), dust=st.sampled_from(DUST), nebular=st.booleans(),
    dust_emission=st.booleans(), agn=st.booleans(), sfh_bins=st.integers(3, 9),
)  # fmt: skip
def test_models_are_described_whole(**given_settings):
    settings = ModelConfig(**given_settings)
    names = [row[0] for row in rows(describe_models(settings))[2:]]
    assert tuple(names) == model_parameters(settings)


def test_priors_in_words():
    settings = ModelConfig(
        priors={
            "redshift": {"low": 0.1, "high": 0.2},
            "log_tau": {"high": 1},
            "gas_logu": -2.5,
            "dust2": {"kind": "gaussian", "mean": 0.3, "sigma": 1},
            "log_age": {"kind": "gamma", "shape": 2, "scale": 0.5, "start": -1},
            "logzsol": {
                "kind": "joint_with_mass",
                "log_mass": (9, 11), "mean": (-1, 0), "sigma": (0.2, 0.1),
            },
            "gas_logz": {"kind": "table", "values": (-1, 0, 0.3), "density": (0, 1, 0)},
        }
    )  # fmt: skip
    got = {row[0]: row[2] for row in rows(describe_models(settings))}
    assert got["redshift"] == "uniform, 0.1 to 0.2"
    assert got["log_tau"] == "uniform, -1 to 1"  # the registry's low end
    assert got["gas_logu"] == "-2.5"
    assert got["dust2"] == "Gaussian at 0.3, sigma 1, 0 to 3"
    assert got["log_age"] == "gamma from -1, shape 2, scale 0.5, -1 to 1.14"
    assert got["logzsol"] == "with mass, -1 to 0, -2 to 0.2"
    assert got["gas_logz"] == "table of 3 values, -2 to 0.5"


def test_what_follows_another_says_so():
    got = {row[0]: row[2] for row in rows(describe_models(ModelConfig()))}
    assert got["redshift"] == "is the catalogue's redshift"
    assert got["gas_logz"] == "is logzsol"


def test_ends_of_a_prior_are_the_registrys_where_it_has_none():
    prior = ModelConfig(priors={"dust2": {"kind": "uniform"}}).priors["dust2"]
    assert describe_prior(prior, parameter("dust2")) == "uniform, 0 to 3"


def test_unknown_parameter_is_named():
    with pytest.raises(ConfigError, match="'log_tua' is not a parameter"):
        describe_models(ModelConfig(priors={"log_tua": 1.0}))
