import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from pxdask.kernels.likelihood import Scale
from pxdask.kernels.limits import limited_scale


@settings(deadline=None)
@given(st.floats(-30, 30), st.floats(0.01, 100))
def test_amplitudes_with_a_limit_are_where_the_slope_is_zero(limit, faintness):
    scale, softness = Scale(np.array([5.0]), np.array([0.5])), np.array([2.0])
    model = np.array([[1.0 / faintness]])
    found = limited_scale(scale, np.array([limit]), softness, model)
    s = found.scale.value[0]
    assert s <= 5.0 + 1e-9
    z = (limit - s * model[0, 0]) / 2.0
    hazard = math.exp(norm.logpdf(z) - norm.logcdf(z))
    # slope of ln likelihood in units of its width: d ln L / ds times sigma
    slope = (5.0 - s) / 0.25 - model[0, 0] / 2.0 * hazard
    assert slope * found.scale.err[0] == pytest.approx(0, abs=1e-6)
    assert found.ln_chance[0] == pytest.approx(norm.logcdf(z), rel=1e-9, abs=1e-300)


def test_a_limit_far_above_changes_nothing():
    scale = Scale(np.array([5.0]), np.array([0.5]))
    found = limited_scale(scale, np.array([1e3]), np.array([1.0]), np.array([[1.0]]))
    assert found.scale.value[0] == 5.0
    assert found.scale.err[0] == pytest.approx(0.5, rel=1e-14)
