"""Shapes of mock galaxies come back without bias, and as well as their intervals say."""

import numpy as np
import pytest

from benchmarks.morphology_study import CAMERAS, NAMES, recover
from pxdask.core.morphology import MorphologyConfig

pytest.importorskip("jax")


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("cameras", ["one scale", "two scales"])
def test_mocks_are_recovered(cameras):
    """Thirty galaxies of one stamp size: four bands by links, so some seventy free numbers.

    The part inside 68 % has a sigma of 0.06 then, and the bias of the median one of a quarter of
    errors of 5 to 10 %: bounds of two and a half. The whole study is in docs/morphology.md.
    """
    bands = {band: CAMERAS[cameras][band] for band in "giy"}
    config = MorphologyConfig(loss="gaussian", order=1)
    found = recover(30, bands, config=config, seed=5, radius=(0.8, 1.0), snr=(40.0, 100.0))
    for name in NAMES:
        assert abs(np.median(found.ratio[name]) - 1) < 0.03, name
        assert 0.53 < found.inside[name].mean() < 0.83, name
    assert not found.flags.any()
