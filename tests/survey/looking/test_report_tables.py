import numpy as np

from pxdask.survey.looking.report_tables import weighted


def test_weighted_by_hand():
    mean, low, high = weighted(np.array([3.0, 1.0, np.nan, 2.0]), np.array([1.0, 2.0, 9.0, 1.0]))
    assert (mean, low, high) == (1.75, 1.0, 3.0)
    assert np.isnan(weighted(np.array([np.nan]), np.array([1.0]))[0])
