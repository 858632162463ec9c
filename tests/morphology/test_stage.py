"""The stage of one galaxy: what keeps it from a profile is told, and is the galaxy's own fault."""

import numpy as np
import pytest

from pxdask.core.config import MorphologyConfig, RegionConfig
from pxdask.core.errors import DataError
from pxdask.images.psf import Psf
from pxdask.morphology.stage import MorphologyStage, fit_galaxies
from tests.images.skies import grid
from tests.morphology.test_stamps import GALAXY, blurred, cube_of, disc

pytest.importorskip("jax")


def run(cube, galaxy, **changes):
    config = MorphologyConfig.model_validate({"data": "matched", **changes})
    stage = MorphologyStage(config, ("g", "r"), RegionConfig(), seed=1, target=Psf(fwhm=1.5))
    return stage.run(galaxy, cube=cube)


@pytest.fixture
def cube():
    on = grid(0.5, 61)
    return cube_of([blurred(on), blurred(on, seed=2)], on, region=disc(on, 4.0))


def test_a_column_without_a_number_is_what_the_user_reads(cube):
    prior = {"r_eff": {"mean": "size", "std": 0.2}}
    with pytest.raises(DataError, match="'g1': column 'size' holds None, not a number"):
        run(cube, GALAXY, priors=prior)


def test_a_galaxy_without_good_pixels_is_told_how_many_it_has(cube):
    seen = disc(grid(0.5, 61), 1.1)
    assert 0 < seen.sum() < 25
    cube["flux_err"].values[:, ~seen] = np.nan
    with pytest.raises(DataError, match=r"no band has 25 good pixels in its stamp: \{'g': "):
        run(cube, GALAXY)


def test_no_galaxy_has_no_profile():
    assert fit_galaxies([], config=MorphologyConfig(), seed=1) == []
