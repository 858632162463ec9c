"""SEDs: of bins of pixels, and of catalogues."""

from __future__ import annotations

from pxdask.core.schema.form import Schema, Var
from pxdask.core.schema.shared import BAND, PER_ANGSTROM, SPECTRAL

BINS = Schema(
    "bins",
    1,
    {
        **BAND,
        "bin_map": Var(("y", "x"), "int32", "", "bin of each pixel; -1 where none"),
        "flux": Var(("bin", "band"), "float64", "uJy", "summed flux density"),
        "flux_err": Var(("bin", "band"), "float64", "uJy", "1-sigma uncertainty of flux"),
        "n_pix": Var(("bin",), "int32", "", "pixels in the bin"),
        "flags": Var(("bin", "band"), "uint16", "", "quality flags"),
        "noise_area": Var(
            ("band",),
            "float64",
            "pix",
            "pixels over which noise is correlated, by which errors have grown; default: one",
            required=False,
        ),
        "snr": Var(("bin", "band"), "float64", "", "signal-to-noise ratio", required=False),
        "limiting_band": Var(
            ("bin",), "int32", "", "number of the band of least S/N over demand", required=False
        ),
        "compactness": Var(
            ("bin",), "float64", "", "area over that of a disc as extended", required=False
        ),
        "n_pieces": Var(("bin",), "int32", "", "pieces that do not touch", required=False),
        "sed_chi2": Var(
            ("bin",), "float64", "", "reduced chi-square of the pixels' SED shapes", required=False
        ),
        **SPECTRAL,
        "spectrum": Var(
            ("bin", "wave"), "float64", PER_ANGSTROM, "summed spectrum", required=False
        ),
        "spectrum_err": Var(
            ("bin", "wave"), "float64", PER_ANGSTROM, "1-sigma uncertainty", required=False
        ),
        "coverage": Var(
            ("bin",), "float64", "", "part of the pixels that have a spectrum", required=False
        ),
    },
)
SEDS = Schema(
    "seds",
    1,
    {
        **BAND,
        "id": Var(("bin",), "str", "", "name of the SED"),
        "redshift": Var(("bin",), "float64", "", "redshift; NaN where it is not known"),
        "flux": Var(("bin", "band"), "float64", "uJy", "flux density; NaN where there is none"),
        "flux_err": Var(("bin", "band"), "float64", "uJy", "1-sigma uncertainty of flux"),
        "upper_limit": Var(
            ("bin", "band"), "bool", "", "flux is an upper limit, flux_err its softness"
        ),
        **SPECTRAL,
        "spectrum": Var(("bin", "wave"), "float64", PER_ANGSTROM, "spectrum", required=False),
        "spectrum_err": Var(
            ("bin", "wave"), "float64", PER_ANGSTROM, "1-sigma uncertainty", required=False
        ),
    },
)
