"""A check that passes everything checks nothing: each promise is broken here once."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from pxdask.core.config import FitConfig
from pxdask.core.errors import SchemaError
from pxdask.core.schema import BINS, FIT, IMAGE
from pxdask.fitting import RdspsFitter
from pxdask.testing import check_fitter, check_stage, digest, fake_galaxy, fake_models, library_of

GALAXY = fake_galaxy(rng=np.random.default_rng(1), n_pixel=8, n_band=3, n_model=30)
MODELS = fake_models(np.array([2e3, 5e3, 8e3, 2e4]), n_model=60, rng=np.random.default_rng(2))


@dataclass
class Stage:
    """Gives its input back."""

    work: object = None
    options: object = field(default_factory=dict)
    name: ClassVar[str] = "same"
    version: ClassVar[int] = 1
    inputs: ClassVar[tuple[str, ...]] = ("bins",)
    output = BINS

    def settings(self):
        return self.options

    def run(self, galaxy, *, bins):
        return self.work(galaxy, bins) if self.work else bins.copy(deep=True)


def check(stage):
    return check_stage(stage, dict(GALAXY.row), {"bins": GALAXY.bins})


def test_a_good_stage_passes():
    assert digest(check(Stage())) == digest(GALAXY.bins)


def test_a_change_of_attributes_is_seen():
    def work(_, bins):
        bins.attrs["touched"] = True
        return bins.copy(deep=True)

    with pytest.raises(AssertionError, match="changed its input 'bins'"):
        check(Stage(work))


def test_a_change_of_values_is_seen():
    def work(_, bins):
        bins["flux"].values[0, 0] = 0
        return bins

    with pytest.raises(ValueError, match="read-only"):
        check(Stage(work))


def test_a_change_of_the_row_is_seen():
    def work(galaxy, bins):
        galaxy["id"] = "other"
        return bins.copy(deep=True)

    with pytest.raises(AssertionError, match="changed the galaxy's row"):
        check(Stage(work))


def test_randomness_is_seen():
    rng = np.random.default_rng(0)

    def work(_, bins):
        return bins.assign(flux=bins["flux"].copy(data=rng.normal(size=bins["flux"].shape)))

    with pytest.raises(AssertionError, match="other bytes"):
        check(Stage(work))


def test_another_schema_is_seen():
    stage = Stage()
    stage.output = IMAGE
    with pytest.raises(SchemaError, match="image/1"):
        check(stage)


def test_settings_that_are_not_json_are_seen():
    with pytest.raises(TypeError, match="JSON"):
        check(Stage(options={"a": np.float32(1)}))


def test_other_inputs_than_declared_are_seen():
    with pytest.raises(AssertionError, match="reads"):
        check_stage(Stage(), {}, {"cube": GALAXY.cube})


@dataclass
class Spoiled:
    """RDSPS, with its result changed afterwards."""

    spoil: object

    def prepare(self, library):
        prepared, spoil = RdspsFitter(FitConfig()).prepare(library), self.spoil

        class Prepared:
            def fit(self, seds):
                return spoil(prepared.fit(seds), seds.flux)

        return Prepared()


def changed(fit, name, values):
    return fit.assign({name: fit[name].copy(data=values)})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda fit, _: changed(fit, "log_mass", fit["log_mass"].values + 2), "far from the truth"),
        (lambda fit, _: changed(fit, "chi2", fit["chi2"].values + 2), "have chi2"),
        (
            lambda fit, _: changed(fit, "av", fit["av"].values[:, ::-1]),
            "quantiles of av are not in order",
        ),
        (lambda fit, flux: changed(fit, "n_eff", fit["n_eff"].values + flux.mean()), "beside it"),
        (
            lambda fit, _: changed(fit, "ln_evidence", np.nan_to_num(fit["ln_evidence"].values)),
            "ln_evidence of an SED without data is not NaN",
        ),
    ],
)
def test_a_spoiled_fitter_is_seen(spoil, message):
    with pytest.raises(AssertionError, match=message):
        check_fitter(Spoiled(spoil), library_of(MODELS))


def test_a_good_fitter_passes():
    assert (
        FIT.validate(check_fitter(RdspsFitter(FitConfig()), library_of(MODELS))).sizes["bin"] == 5
    )


def test_digest_sees_the_last_bit_and_the_attributes():
    one = GALAXY.bins
    other = one.copy(deep=True)
    assert digest(one) == digest(other)
    other["flux"].values[0, 0] = np.nextafter(other["flux"].values[0, 0], np.inf)
    assert digest(one) != digest(other)
    assert digest(one) != digest(one.assign_attrs(more=1))


def test_the_fakes_have_a_galaxys_look():
    flux = GALAXY.bins["flux"].values
    central = GALAXY.bins["bin_map"].values[4, 4]
    # Old and dusty in the centre: redder than the galaxy as a whole.
    assert flux[central, 2] / flux[central, 0] > 2 * flux[:, 2].sum() / flux[:, 0].sum()
