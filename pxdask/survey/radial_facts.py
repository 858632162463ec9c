"""What radial profiles tell of a galaxy's sizes, as columns of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pxdask.core.flags import flag_attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES = (
    "half_mass",
    "half_mass_kpc",
    "half_light",
    "half_sfr",
    "mass_to_light",
    "radial_flags",
    "radial_fitted",
)
"""Names of the columns."""

_FITTED = "sizes: 1 on the ellipse of the Sersic fit, 0 on that of the light's moments"


def radial_facts(radial: xr.Dataset, *, bands: Sequence[str]) -> dict[str, xr.Variable]:
    """Return the columns of a galaxy.

    Parameters
    ----------
    radial : xarray.Dataset
        Schema radial/1.
    bands : sequence of str
        Bands of the table; NaN in those that the profiles lack.

    Returns
    -------
    facts : dict
        Posterior quantiles of ``half_mass``, ``half_sfr`` (quantile,) and, by band, ``half_light``
        (band, quantile) [arcsec], of ``half_mass_kpc`` (quantile,) [kpc] and ``mass_to_light``
        (band, quantile); ``radial_flags``; ``radial_fitted``, 1 where the ellipse is that of the
        Sersic fit.
    """
    kpc = float(radial.attrs["kpc_per_arcsec"])
    half_mass = radial["half_mass"].variable
    known = radial[["half_light", "mass_to_light"]].reindex(band=list(bands))
    fitted = radial.attrs["r_eff_source"] == "morphology"
    facts = {
        "half_mass": half_mass,
        "half_mass_kpc": xr.Variable(
            "quantile", half_mass.values * kpc, {**half_mass.attrs, "units": "kpc"}
        ),
        "half_sfr": radial["half_sfr"].variable,
        **{str(name): values.variable for name, values in known.items()},
        "radial_flags": xr.Variable(
            (),
            np.int32(radial["flags"].values),
            {**flag_attrs(), "long_name": "quality flags of sizes and radial profiles"},
        ),
        "radial_fitted": xr.Variable((), np.int32(fitted), {"units": "", "long_name": _FITTED}),
    }
    return {name: facts[name] for name in SIZES}
