"""Stellar populations, filters and the models made of them."""

from __future__ import annotations

from pxdask.core.schema.form import Schema, Var
from pxdask.core.schema.shared import BAND

SSP = Schema(
    "ssp",
    2,
    {
        "log_z": Var(("met",), "float64", "", "log10 of metallicity in solar units"),
        "log_age": Var(("age",), "float64", "", "log10 of age in yr"),
        "wave": Var(("wave",), "float64", "Angstrom", "bin centre, rest frame, vacuum"),
        "wave_edges": Var(("edge",), "float64", "Angstrom", "edges of the wavelength bins"),
        "flux": Var(
            ("met", "age", "wave"), "float32", "Lsun Angstrom-1 Msun-1", "stars, per mass formed"
        ),
        "surviving": Var(("met", "age"), "float64", "", "mass in stars and remnants / mass formed"),
        "luminosity": Var(
            ("met", "age"), "float64", "Lsun Msun-1", "bolometric, of stars, per mass formed"
        ),
        "ionising": Var(
            ("met", "age"), "float64", "1e46 s-1 Msun-1", "ionising photons, per mass formed"
        ),
        "log_u": Var(("log_u",), "float64", "", "log10 of ionisation parameter"),
        "log_zgas": Var(("gas",), "float64", "", "log10 of gas metallicity in solar units"),
        "log_age_young": Var(("young",), "float64", "", "log10 of age in yr of nebular spectra"),
        "nebular": Var(
            ("log_u", "gas", "young", "wave"),
            "float32",
            "1e-46 Lsun s Angstrom-1",
            "nebular lines and continuum per ionising photon",
        ),
        "q_pah": Var(("qpah",), "float64", "percent", "mass fraction of dust in PAHs"),
        "u_min": Var(("umin",), "float64", "", "least starlight, in units of the local one"),
        "dust": Var(
            ("component", "qpah", "umin", "wave"),
            "float32",
            "Lsun Angstrom-1 Msun-1",
            "emission per dust mass: lit by u_min alone, and by a power law up to 1e6",
        ),
        "dust_power": Var(
            ("component", "qpah", "umin"), "float64", "Lsun Msun-1", "integral of dust"
        ),
        "tau_agn": Var(("tau",), "float64", "", "optical depth of a cloud of the torus"),
        "torus": Var(("tau", "wave"), "float32", "Angstrom-1", "torus of unit luminosity"),
    },
)
FILTERS = Schema(
    "filters",
    1,
    {
        **BAND,
        "detector": Var(("band",), "str", "", "what the detector counts: photon or energy"),
        "n_point": Var(("band",), "int32", "", "points of the band's curve"),
        "wave": Var(("point",), "float64", "Angstrom", "wavelengths, one curve after another"),
        "transmission": Var(("point",), "float64", "", "response at each wavelength"),
    },
)
MODELS = Schema(
    "models",
    1,
    {
        **BAND,
        "flux": Var(("model", "band"), "float32", "uJy Msun-1", "flux density per mass formed"),
    },
    each=Var(("model",), "float64 or float32", "", "model parameter or derived quantity"),
)
MODEL_GRID = Schema(
    "model-grid",
    1,
    {
        **BAND,
        "redshift": Var(("redshift",), "float64", "", "redshift, increasing"),
        "flux": Var(
            ("redshift", "model", "band"), "float32", "uJy Msun-1", "flux density per mass formed"
        ),
    },
    each=Var(("model",), "float64 or float32", "", "model parameter or derived quantity"),
)
SPECTRA = Schema(
    "spectra",
    1,
    {
        "wave": Var(("wave",), "float64", "Angstrom", "bin centre, rest frame, vacuum"),
        "wave_edges": Var(("edge",), "float64", "Angstrom", "edges of the wavelength bins"),
        "flux": Var(("model", "wave"), "float32", "Lsun Angstrom-1 Msun-1", "per mass formed"),
    },
    each=Var(("model",), "float64", "", "model parameter or derived quantity"),
)
