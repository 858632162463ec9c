"""Photometry against bagpipes on the same populations, where it is installed."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from pxdask.core.models import ModelConfig
from pxdask.io.filters import load_filters
from pxdask.sps import PhotometryEngine
from pxdask.survey.products import ssp_dataset

FILTERS = (
    "galex_nuv", "sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z", "2mass_j", "2mass_h", "2mass_k",
    "wise_w1", "wise_w2", "wise_w3",
)  # fmt: skip
REDSHIFTS = (0.02, 0.1, 0.5, 1.0, 3.0)
N_CASE = 12
Q_PAH, U_MIN = 2.5, 1.0  # nodes of both tables; bagpipes' labels are right here


def _parameters(redshift):
    rng = np.random.default_rng(int(redshift * 1000))
    oldest = 0.95 * np.log10({0.02: 13.2, 0.1: 12.2, 0.5: 8.6, 1.0: 5.8, 3.0: 2.1}[redshift])
    return {
        "log_age": rng.uniform(-0.5, oldest, N_CASE),
        "log_tau": rng.uniform(-0.5, 1.0, N_CASE),
        "logzsol": rng.uniform(-0.6, 0.3, N_CASE),
        "dust2": rng.uniform(0.05, 1.5, N_CASE),
        "log_gamma": rng.uniform(-3, -1, N_CASE),
    }


def _case(parameters, i, redshift):
    """Return the components of one bagpipes model."""
    value = {name: float(values[i]) for name, values in parameters.items()}
    return {
        "redshift": redshift,
        "delayed": {
            "age": 10 ** value["log_age"],
            "tau": 10 ** value["log_tau"],
            "massformed": 0.0,
            "metallicity": 10 ** value["logzsol"],
        },
        "dust": {
            "type": "Calzetti",
            "Av": 2.5 / np.log(10) * value["dust2"],
            "eta": 1.0,
            "qpah": Q_PAH,
            "umin": U_MIN,
            "gamma": 10 ** value["log_gamma"],
        },
        "nebular": {"logU": -3.0},
        "t_bc": 0.01,
    }


@pytest.mark.slow
def test_photometry_is_that_of_bagpipes():
    if find_spec("bagpipes") is None:
        pytest.skip('bagpipes is not installed: pip install "pxdask[bc03]"')
    filters = load_filters(FILTERS)
    settings = ModelConfig(
        dust_emission=True,
        igm="inoue14",
        priors={"log_qpah": np.log10(Q_PAH), "log_umin": np.log10(U_MIN)},
    )
    ssp = ssp_dataset("bc03")
    ours, cases = [], []
    for redshift in REDSHIFTS:
        parameters = _parameters(redshift)
        engine = PhotometryEngine(ssp, filters, redshift=redshift, settings=settings)
        ours.append(engine.flux(parameters))
        cases += [_case(parameters, i, redshift) for i in range(N_CASE)]
    asked = {
        "cases": cases,
        "filters": [[list(band.wave), list(band.transmission)] for band in filters],
    }
    script = Path(__file__).with_name("bagpipes_seds.py")
    told = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)],
        input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    theirs = np.array(json.loads(told.stdout.splitlines()[-1]))
    ratio = np.concatenate(ours) / theirs
    lit = theirs > 1e-3 * theirs.max(axis=1, keepdims=True)
    differences = np.abs(ratio - 1)[lit]
    assert np.median(differences) < 0.005
    # the median difference of each band is within 0.5 per cent too; the tail is X
    np.testing.assert_array_less(np.abs(np.median(ratio, axis=0) - 1), 0.0055)
    assert np.quantile(differences, 0.95) < 0.03
