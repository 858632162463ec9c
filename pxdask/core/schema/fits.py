"""What fits give: posteriors, their maps, networks, emission lines."""

from __future__ import annotations

from pxdask.core.schema.form import Schema, Var
from pxdask.core.schema.shared import BAND, PER_ANGSTROM, QUANTILE, SPECTRAL


def _measured(name: str, unit: str, meaning: str) -> dict[str, Var]:
    """Return a property of bins and its uncertainty."""
    return {
        name: Var(("bin",), "float64", unit, meaning),
        f"{name}_err": Var(("bin",), "float64", unit, "1-sigma uncertainty"),
    }


FIT = Schema(
    "fit",
    2,
    {
        **BAND,
        **QUANTILE,
        "chi2": Var(("bin",), "float64", "", "chi-square of the best model"),
        "n_used": Var(("bin",), "int32", "", "bands that were fitted, upper limits included"),
        "n_eff": Var(("bin",), "float64", "", "effective number of models or samples"),
        "ln_evidence": Var(("bin",), "float64", "", "natural log of the evidence"),
        "ln_evidence_err": Var(("bin",), "float64", "", "its uncertainty", required=False),
        "model_flux": Var(("bin", "band"), "float64", "uJy", "flux density of the best model"),
        "acceptance": Var(("bin",), "float64", "", "accepted part of the steps", required=False),
        "tau": Var(("bin",), "float64", "", "autocorrelation time in steps", required=False),
        "rhat": Var(("bin",), "float64", "", "largest split R-hat", required=False),
        "n_steps": Var(("bin",), "int32", "", "steps of each walker", required=False),
        "efficiency": Var(
            ("bin",), "float64", "", "effective part of a network's draws", required=False
        ),
        "predictive_p": Var(
            ("bin",), "float64", "", "posterior predictive p-value of chi2", required=False
        ),
        "outlier_score": Var(
            ("bin",), "float64", "", "ln of the chance of being so odd, over limit", required=False
        ),
        "redshift_ratio": Var(
            ("bin",), "float64", "", "ln of p(z given the fluxes) over p(z)", required=False
        ),
        "flags": Var(("bin",), "uint16", "", "quality flags", required=False),
        **SPECTRAL,
        "model_spectrum": Var(
            ("bin", "wave"), "float64", PER_ANGSTROM, "spectrum of the best model", required=False
        ),
        "polynomial": Var(
            ("bin", "order"), "float64", "", "Legendre factor of the best model", required=False
        ),
        "spectrum_chi2": Var(("bin",), "float64", "", "chi-square of the spectrum", required=False),
        "spectrum_n_used": Var(("bin",), "int32", "", "wavelengths fitted", required=False),
    },
    each=Var(("bin", "quantile"), "float64", "", "posterior quantiles of a parameter"),
    suffixes={
        "_mean": Var(("bin",), "float64", "", "posterior mean"),
        "_std": Var(("bin",), "float64", "", "posterior standard deviation"),
        "_samples": Var(("bin", "sample"), "float32", "", "posterior samples"),
    },
)
MAPS = Schema(
    "maps",
    1,
    {**QUANTILE},
    each=Var(("quantile", "y", "x"), "float32", "", "posterior quantiles of a property"),
)
NETWORK = Schema(
    "network",
    1,
    {
        **BAND,
        "weights": Var(("member", "weight"), "float32", "", "weights of a network, end to end"),
        "loss": Var(("member", "epoch"), "float64", "", "-ln density of the training's mocks"),
        "held_loss": Var(("member", "epoch"), "float64", "", "-ln density of held-out mocks"),
        "redshift_weights": Var(
            ("redshift_weight",), "float32", "", "weights of a check of redshifts", required=False
        ),
    },
    each=Var(("figure",), "float64", "", "figure of merit"),
)
LINES = Schema(
    "lines",
    1,
    {
        "line": Var(("line",), "str", "", "name of the emission line"),
        "rest_wave": Var(("line",), "float64", "Angstrom", "rest-frame wavelength, vacuum"),
        "bin_map": Var(("y", "x"), "int32", "", "bin of each pixel; -1 where none", required=False),
        "n_pix": Var(("bin",), "int32", "", "pixels in the bin"),
        "flux": Var(("bin", "line"), "float64", "1e-17 erg s-1 cm-2", "flux; of doublets the main"),
        "flux_err": Var(("bin", "line"), "float64", "1e-17 erg s-1 cm-2", "1-sigma uncertainty"),
        "limit": Var(
            ("bin", "line"), "float64", "1e-17 erg s-1 cm-2", "upper limit where not detected"
        ),
        "width": Var(("bin", "line"), "float64", "Angstrom", "equivalent width, rest frame"),
        "width_err": Var(("bin", "line"), "float64", "Angstrom", "1-sigma uncertainty"),
        "flags": Var(("bin", "line"), "uint16", "", "quality flags"),
        **_measured("velocity", "km s-1", "velocity of the gas from the redshift"),
        **_measured("sigma", "km s-1", "velocity dispersion of the gas"),
        "chi2": Var(("bin",), "float64", "", "chi-square near the lines"),
        "n_used": Var(("bin",), "int32", "", "wavelengths fitted"),
        **_measured("dn4000", "", "mean F_nu at 4000-4100 over 3850-3950 Angstrom"),
        **_measured("decrement", "", "H alpha over H beta"),
        **_measured("ebv", "mag", "colour excess of the gas"),
        **_measured("attenuation", "mag", "attenuation of H alpha"),
        **_measured("luminosity", "1e40 erg s-1", "H alpha, corrected for dust"),
        **_measured("sfr", "Msun yr-1", "star formation rate of H alpha"),
    },
)
LINE_MAPS = Schema(
    "line-maps", 1, each=Var(("y", "x"), "float32", "", "spectral property of pixels")
)
