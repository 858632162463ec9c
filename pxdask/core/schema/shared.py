"""Variables that several schemas have."""

from __future__ import annotations

from pxdask.core.schema.form import Var

QUANTILES = (0.16, 0.5, 0.84)
"""Posterior quantiles that every fit reports [1]."""

BAND = {
    "band": Var(("band",), "str", "", "filter identifier"),
    "pivot_wave": Var(("band",), "float64", "Angstrom", "pivot wavelength"),
}
QUANTILE = {"quantile": Var(("quantile",), "float64", "", "posterior probability below the value")}

PER_ANGSTROM = "1e-17 erg s-1 cm-2 Angstrom-1"
SPECTRAL = {
    "wave": Var(("wave",), "float64", "Angstrom", "observed frame, vacuum", required=False),
    "lsf_fwhm": Var(
        ("wave",), "float64", "Angstrom", "width of the line spread function", required=False
    ),
}
