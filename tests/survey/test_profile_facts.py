import numpy as np
import pytest

from pxdask.survey.profile_facts import parameters, profile_facts
from tests.morphology.standins import VALUES, profiles


def test_columns_have_values_errors_and_units():
    facts = profile_facts(profiles(), bands=("g", "r", "i"), kpc_per_arcsec=2.0)
    np.testing.assert_allclose(facts["sersic_r_eff"].values, [2.0, 2.2, 2.4])
    np.testing.assert_allclose(facts["sersic_r_eff_kpc"].values, [4.0, 4.4, 4.8])
    np.testing.assert_allclose(facts["sersic_r_eff_kpc_err"].values, 0.2)
    np.testing.assert_allclose(
        facts["sersic_axis_ratio"].values, 1 - 0.25 * np.array([1, 1.1, 1.2])
    )
    np.testing.assert_allclose(facts["sersic_axis_ratio_err"].values, 0.02)
    # 187 and 204 degrees are 7 and 24
    np.testing.assert_allclose(facts["sersic_angle"].values, [170.0, 7.0, 24.0])
    units = {
        name: facts[f"sersic_{name}"].attrs["units"] for name in ("r_eff", "flux", "angle", "n")
    }
    assert units == {"r_eff": "arcsec", "flux": "uJy", "angle": "deg", "n": ""}
    assert facts["sersic_r_eff_kpc"].attrs["units"] == "kpc"
    assert facts["sersic_flags"].dtype == np.int32
    assert facts["sersic_chi2"].dims == ("band",)


def test_bands_that_were_not_fitted_are_nan():
    facts = profile_facts(profiles(bands=("r",), sides=(8,)), bands=("g", "r"), kpc_per_arcsec=1.0)
    assert np.isnan(facts["sersic_flux"].values[0])
    assert facts["sersic_flux"].values[1] == VALUES["flux"]


def test_only_the_galaxy_counts():
    ds = profiles()
    ds["flux"].values[1] = 1e9
    assert profile_facts(ds, bands=("g",), kpc_per_arcsec=1.0)["sersic_flux"].values[0] == 50.0


def test_parameters_are_told_from_their_moments_and_curves():
    assert sorted(parameters(profiles())) == sorted(VALUES)


@pytest.mark.parametrize(
    ("name", "told"), [("disc_ellip", "disc_axis_ratio"), ("disc_theta", "disc_angle")]
)
def test_discs_have_axis_ratios_and_angles_too(name, told):
    ds = profiles()
    base = name.removeprefix("disc_")
    for end in ("", "_std"):
        ds[f"{name}{end}"] = ds[f"{base}{end}"]
    facts = profile_facts(ds, bands=("g",), kpc_per_arcsec=1.0)
    np.testing.assert_array_equal(
        facts[f"sersic_{told}"].values, facts[f"sersic_{told.removeprefix('disc_')}"].values
    )
