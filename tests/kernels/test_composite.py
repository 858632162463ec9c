"""The photometry kernel, against the sums it stands for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.composite import composite_fluxes
from pxdask.kernels.composite_spectra import (
    dim_spectra,
    dust_spectra,
    fill_transmissions,
    torus_spectra,
)
from pxdask.kernels.fastmath import exp_single
from pxdask.kernels.history import SFH_KINDS
from pxdask.kernels.ingredients import Columns, CompositeModels
from pxdask.kernels.sfh import age_quadrature, age_weights

N_MET, N_AGE, N_COLUMN, N_YOUNG = 4, 30, 9, 3
FIRST = np.array([0, 3, 3, 6])  # three bands, the second without light; then energy
FORMS = sorted(set(SFH_KINDS) - {"piecewise"})
SHAPES = {"lognormal": 2, "gaussian": 2, "double_power_law": 3}


def _columns(rng, *, dust=True, torus=True, nebular=True, n_birth=8):
    def light(*shape):
        return rng.uniform(0.1, 1, (*shape, N_COLUMN)).astype(np.float32)

    n_lit = 12
    dust_flux = light(2, 3, 4) if dust else light(0, 3, 4)
    return Columns(
        stars=light(N_MET, N_AGE),
        nebular=light(2, 3, N_YOUNG) if nebular else light(0, 3, N_YOUNG),
        ionising=rng.uniform(0, 2, (N_MET, n_lit)),
        young=np.minimum(np.arange(n_lit) // 4, N_YOUNG - 2),
        young_share=rng.uniform(0, 1, n_lit),
        n_birth=n_birth,
        luminosity=rng.uniform(1, 2, (N_MET, N_AGE)),
        dust=dust_flux,
        dust_power=dust_flux[..., 6:].sum(axis=-1).astype(float) + 0.5,
        dust_unseen=np.full(dust_flux.shape[:3], 0.5),
        torus=light(4) if torus else light(0),
        base=rng.uniform(0, 3, N_COLUMN).astype(np.float32),
        bump=rng.uniform(0, 1, N_COLUMN).astype(np.float32),
        ln_wave=rng.uniform(-1, 2, N_COLUMN).astype(np.float32),
        birth=rng.uniform(0, 3, N_COLUMN).astype(np.float32),
        first=FIRST,
    )


def _models(rng, n_model, n_shape):
    def between(low, high):
        return rng.uniform(low, high, n_model)

    return CompositeModels(
        age=10 ** between(-3, 1.1),
        shape=10 ** rng.uniform(-1, 1, (n_model, n_shape)),
        metallicity=np.append(between(0, N_MET - 1)[2:], [0.0, N_MET - 1.0]),
        birth_depth=between(0, 2),
        depth=np.append(between(0, 3)[1:], 0.0),
        slope=between(-1, 0.4),
        bump=between(0, 3),
        gas_u=between(0, 1),
        gas_z=between(0, 2),
        q_pah=between(0, 2),
        u_min=between(0, 3),
        gamma=between(0, 1),
        agn=between(0, 1),
        tau_agn=between(0, 3),
    )


def _grid(values, *positions):
    """Return values between the nodes of the first axes, one axis after another."""
    for position in positions:
        low = min(int(position), max(len(values) - 2, 0))
        share = position - low
        values = values[low] * (1 - share) + values[min(low + 1, len(values) - 1)] * share
    return values


def _light(models, weights, columns, i):
    """Return the columns of young and old light of one model, before dust."""
    by_age = weights[i][:, None] * _grid(columns.stars.astype(float), models.metallicity[i])
    if columns.nebular.shape[0]:
        gas = _grid(columns.nebular.astype(float), models.gas_u[i], models.gas_z[i])
        photons = weights[i][: columns.young.size] * _grid(columns.ionising, models.metallicity[i])
        for k, m in enumerate(columns.young):
            share = columns.young_share[k]
            by_age[k] += photons[k] * (gas[m] * (1 - share) + gas[m + 1] * share)
    return by_age[: columns.n_birth].sum(axis=0), by_age[columns.n_birth :].sum(axis=0)


def _expected(models, weights, columns, i):
    """Return band fluxes and energies of one model."""
    young, old = _light(models, weights, columns, i)
    law = (columns.base + models.bump[i] * columns.bump) * np.exp(models.slope[i] * columns.ln_wave)
    through = np.exp(-models.depth[i] * law)
    seen = (young * np.exp(-models.birth_depth[i] * columns.birth) + old) * through
    absorbed = (young + old - seen)[6:].sum()
    energy = [absorbed, 0.0, 0.0]
    if columns.dust.shape[0]:
        share = models.gamma[i]
        mixed = (1 - share) * columns.dust[0].astype(float) + share * columns.dust[1]
        warm = _grid(mixed, models.q_pah[i], models.u_min[i])
        power = (1 - share) * columns.dust_power[0] + share * columns.dust_power[1]
        escaping = (warm * through)[6:].sum() + 0.5
        energy = [absorbed, _grid(power, models.q_pah[i], models.u_min[i]), escaping]
        seen = seen + absorbed / escaping * warm * through
    if columns.torus.shape[0]:
        stars = weights[i] @ _grid(columns.luminosity, models.metallicity[i])
        torus = _grid(columns.torus.astype(float), models.tau_agn[i])
        seen = seen + models.agn[i] * stars * torus * through
    return [seen[:3].sum(), 0.0, seen[3:6].sum()], energy


@pytest.mark.parametrize("sfh", FORMS)
@pytest.mark.parametrize(
    "lacks", [{}, {"dust": False}, {"torus": False}, {"nebular": False}, {"n_birth": 0}]
)
def test_kernel_equals_the_sum_it_stands_for(sfh, lacks):
    rng = np.random.default_rng(3)
    quadrature = age_quadrature(np.linspace(6, 10.2, N_AGE))
    columns, models = _columns(rng, **lacks), _models(rng, 20, SHAPES.get(sfh, 1))
    out, energy = np.empty((20, 3), np.float32), np.empty((20, 3))
    composite_fluxes(SFH_KINDS[sfh], models, quadrature, columns, out, energy)
    weights = age_weights(sfh, models.age, models.shape, quadrature=quadrature)
    for i in range(20):
        flux, powers = _expected(models, weights, columns, i)
        np.testing.assert_allclose(out[i], flux, rtol=5e-6)  # float32 sums of hundreds of terms
        np.testing.assert_allclose(energy[i], powers, rtol=5e-6, atol=1e-6)


@given(seed=st.integers(0, 10**6))
def test_dust_gives_back_what_it_takes(seed):
    """Energy of all wavelengths is the same behind any dust."""
    rng = np.random.default_rng(seed)
    columns, models = _columns(rng), _models(rng, 5, 1)
    lit = rng.uniform(0, 1, (2, 5, N_COLUMN)).astype(np.float32)
    widths = rng.uniform(0.5, 2, N_COLUMN)
    transmission, stars, dust = (np.empty((5, N_COLUMN), np.float32) for _ in range(3))
    fill_transmissions(models, columns, transmission)
    dim_spectra(models, columns, transmission, lit[0], lit[1], stars)
    energy = np.zeros((5, 3))
    energy[:, 0] = (lit.sum(axis=0) - stars) @ widths
    dust_spectra(models, columns, transmission, widths, energy, dust)
    np.testing.assert_allclose((stars + dust) @ widths, lit.sum(axis=0) @ widths, rtol=1e-5)


def test_torus_is_behind_the_diffuse_dust():
    rng = np.random.default_rng(1)
    columns, models = _columns(rng), _models(rng, 3, 1)
    weights = np.full((3, N_AGE), 1 / N_AGE)
    transmission = np.full((3, N_COLUMN), 0.25, np.float32)
    got = np.empty((3, N_COLUMN), np.float32)
    torus_spectra(models, weights, columns, transmission, got)
    stars = [_grid(columns.luminosity, z).mean() for z in models.metallicity]
    clear = [_grid(columns.torus.astype(float), tau) for tau in models.tau_agn]
    expected = 0.25 * (models.agn * stars)[:, None] * np.array(clear)
    np.testing.assert_allclose(got, expected, rtol=2e-6)


def test_no_models():
    rng = np.random.default_rng(1)
    out, energy = np.empty((0, 3), np.float32), np.empty((0, 3))
    models = CompositeModels(*(values[:0] for values in _models(rng, 3, 1)))
    quadrature = age_quadrature(np.linspace(6, 10.2, N_AGE))
    composite_fluxes(0, models, quadrature, _columns(rng), out, energy)


@given(x=st.floats(-87, 88, width=32))
def test_single_precision_exponential(x):
    assert exp_single(np.float32(x)) == pytest.approx(np.exp(float(np.float32(x))), rel=1e-6)


def test_exponential_beyond_its_range():
    assert exp_single(np.float32(-500)) < 2e-38
    assert np.isfinite(exp_single(np.float32(500)))
