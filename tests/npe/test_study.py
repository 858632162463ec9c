"""The mocks that the acceptance study tries networks with."""

import numpy as np
import pytest

from benchmarks.npe_page import page
from benchmarks.npe_study import fit_settings, mocks_at, problem
from benchmarks.npe_study import test_mocks as mocks_of
from benchmarks.npe_words import ONCE


@pytest.mark.slow
@pytest.mark.statistical
def test_they_are_independent():
    """Neighbours of an even sequence are not: grouped as a galaxy they are more unlike than chance.

    The correlation of n pairs of independent numbers scatters by 1 / sqrt(n).
    """
    chosen = problem("delayed_tau", fit_settings(1000))
    for found in (mocks_of(chosen, 1000), mocks_at(chosen, 2.5, n=500)):
        pairs = [np.corrcoef(column[:-1], column[1:])[0, 1] for column in found.unit.T]
        # the mean of four such numbers
        assert abs(np.mean(pairs)) < 4 / np.sqrt(4 * len(found))


def test_figures_measured_once_are_said_to_be():
    """They come after the page's own, under a heading that says of when they are."""
    found = page({}, 1000)
    before, after = found.split(ONCE)
    assert "2026-11-21" in ONCE
    for figure in (
        "54,910",
        "1.154",
        "1.113",
        "0.972",
        "33 and 47 %",
        "847 to 1,520",
        "15 SEDs",
        "2.76",
    ):
        assert figure in " ".join(after.split()), figure
        assert figure not in before
