import numpy as np
import pytest

from pxdask.fitting.ensemble import DOF
from pxdask.fitting.population import populate
from pxdask.kernels.likelihood import effective_number
from pxdask.kernels.mixture import draw_t, ln_t


def banana(position):
    """A thin curved density whose mean and deviation in the first dimension are 0 and 1."""
    across = (position[:, 1] - position[:, 0] ** 2) / 0.05
    return -0.5 * (position[:, 0] ** 2 + across**2)


def test_a_thin_curved_density_is_learnt():
    rng = np.random.default_rng(0)
    found = populate(
        banana, 2 * rng.standard_normal((500, 2)), n_draw=12_000, n_component=16, rng=rng
    )
    mean = found.weight @ found.position
    # of some thousand effective draws
    assert mean == pytest.approx([0, 1], abs=0.15)
    n = 20_000
    drawn = draw_t(
        found.mixture, rng.random(n), rng.standard_normal((n, 2)), rng.chisquare(DOF, n), dof=DOF
    )
    ln_weight = banana(drawn) - ln_t(found.mixture, drawn, dof=DOF)
    assert effective_number(np.exp(ln_weight - ln_weight.max())) > 0.2 * n
    # the integral of the density: 2 pi 0.05
    assert np.exp(ln_weight).mean() == pytest.approx(0.1 * np.pi, rel=0.05)
