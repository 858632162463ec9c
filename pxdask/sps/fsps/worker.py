"""What runs inside a process of python-fsps; see `pxdask.sps.fsps.process`.

This file is started as a script and imports nothing of pxdask. FSPS keeps all its state in one
set of Fortran globals, so that one process holds one set-up, and it ends the process without a
word to Python where a file is missing.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Facts = dict[str, Any]
    Answer = tuple[Facts, dict[str, Floats]]

REQUEST, ARRAYS, RESULT = "request.json", "arrays.npz", "result.npz"
"""Files of the folder through which a request comes and its result goes."""
FACTS = "facts"
"""Array of the result that holds its JSON part."""

_LIGHT, _PLANCK, _LSUN = 2.9979e18, 6.6261e-27, 3.839e33
"""Speed of light [Angstrom s-1], Planck's constant [erg s] and solar luminosity [erg s-1] as
FSPS has them (sps_vars.f90): they decide how many photons it counts."""
_LYMAN_LIMIT = 912.0
"""Wavelength up to which FSPS takes stellar light as ionising [Angstrom]."""
_NOISE = 1e-13
"""Nebular light below this share of the stars' is rounding error of their difference [1]."""
_DUST_AGE = 1e-3
"""Age of the population that lights the dust when its spectra are taken [Gyr]; any will do."""


def describe() -> Answer:
    """Return version and libraries of the installed python-fsps, without any data."""
    driver = _driver()
    names = [name.decode().strip() for name in driver.get_libraries()]
    return {
        "version": version("fsps"),
        "isochrones": names[0],
        "spectra": names[1],
        "dust": names[2],
        "n_met": int(driver.get_nz()),
        "n_age": int(driver.get_ntfull()),
        "n_wave": int(driver.get_nspec()),
    }, {}


def probe() -> Answer:
    """Return whether FSPS starts and makes a spectrum."""
    stars = _population(zcontinuous=0)
    wave, flux = stars.get_spectrum(tage=1.0)
    return {"finite": bool(np.all(np.isfinite(flux))), "n_wave": int(wave.size)}, {}


def extract(
    *,
    imf_type: int,
    options: Mapping[str, Any],
    nodes: Mapping[str, Sequence[float]],
    has_nebulae: bool,
) -> Answer:
    """Return everything of an SSP product, in FSPS's units.

    Parameters
    ----------
    imf_type, options
        Arguments of ``StellarPopulation``.
    nodes : mapping
        ``log_u``, ``log_zgas``, ``log_age_gas`` (ages of the nebular tables), ``q_pah``,
        ``u_min``.
    has_nebulae : bool
        Whether these isochrones have nebular tables.

    Returns
    -------
    facts, arrays
        ``flux`` (met, age, wave) [Lsun Hz-1 Msun-1], ``surviving``, ``luminosity``,
        ``ionising`` [s-1 Msun-1], ``nebular`` (log_u, gas, young, wave) [Lsun Hz-1 s],
        ``dust`` (component, qpah, umin, wave) [Lsun Hz-1 per Msun of dust],
        ``gas_errors`` (2, 2): see `_gas_errors`.
    """
    stars = _population(zcontinuous=0, imf_type=imf_type, **options)
    wave, log_age = stars.wavelengths, np.array(stars.ssp_ages)
    log_z = np.log10(stars.zlegend / stars.solar_metallicity)
    met = int(np.argmin(np.abs(log_z)))
    stars.params["add_dust_emission"] = False
    parts = [_simple_populations(stars, zmet + 1) for zmet in range(log_z.size)]
    flux, surviving, luminosity = (np.stack(part) for part in zip(*parts, strict=True))
    lit = _lit_ages(log_age, np.asarray(nodes["log_age_gas"]))
    gas = _Gas(stars, met, lit, flux[met, lit])
    arrays = {
        "wave": wave,
        "log_z": log_z,
        "log_age": log_age,
        "flux": flux,
        "surviving": surviving,
        "luminosity": luminosity,
        "ionising": photons(wave, flux),
        "log_age_young": log_age[lit],
        "dust": _dust(stars, met, nodes["q_pah"], nodes["u_min"]),
    }
    grids = nodes["log_u"], nodes["log_zgas"]
    if has_nebulae:
        arrays["nebular"] = np.stack([[gas.light(u, z) for z in grids[1]] for u in grids[0]])
        arrays["gas_errors"] = _gas_errors(gas, *(np.asarray(grid) for grid in grids))
    else:
        shape = (*(len(grid) for grid in grids), lit.stop - lit.start, wave.size)
        arrays["nebular"], arrays["gas_errors"] = np.zeros(shape), np.zeros((2, 2))
    return {"solar_metallicity": float(stars.solar_metallicity)}, arrays


def spectra(
    *,
    imf_type: int,
    options: Mapping[str, Any],
    runs: Sequence[Mapping[str, Any]],
    tables: Mapping[str, Floats] | None = None,
) -> Answer:
    """Return the composite spectra of some sets of FSPS parameters.

    Parameters
    ----------
    imf_type, options
        Arguments of ``StellarPopulation``.
    runs : sequence of mapping
        ``age`` [Gyr], ``parameters`` by FSPS's names, and ``table``, a name or None.
    tables : mapping
        By name, tabular histories (2, n_row): time [Gyr] and rate [Msun yr-1].

    Returns
    -------
    facts, arrays
        ``wave``; per solar mass formed ``flux`` (run, wave) [Lsun Hz-1], ``surviving``,
        ``luminosity`` [Lsun], ``dust_mass`` [Msun], (run,) each.
    """
    stars = _population(zcontinuous=1, imf_type=imf_type, **options)
    poor, rich = np.log10(np.array(stars.zlegend)[[0, -1]] / stars.solar_metallicity)
    rows: dict[str, list[Any]] = {
        name: [] for name in ("flux", "surviving", "luminosity", "dust_mass")
    }
    for run in runs:
        metallicity = run["parameters"]["logzsol"]
        if not poor - 1e-6 <= metallicity <= rich + 1e-6:
            raise ValueError(f"logzsol: {metallicity} is not within [{poor:.4g}, {rich:.4g}] dex")
        for name, value in run["parameters"].items():
            stars.params[name] = value
        if run["table"] is not None:
            stars.set_tabular_sfh(*(tables or {})[run["table"]])
        _, flux = stars.get_spectrum(tage=run["age"])
        formed = float(stars.formed_mass)
        rows["flux"].append(flux / formed)
        rows["surviving"].append(stars.stellar_mass / formed)
        rows["luminosity"].append(10**stars.log_lbol / formed)
        rows["dust_mass"].append(stars.dust_mass / formed)
    return {}, {"wave": stars.wavelengths, **{key: np.array(row) for key, row in rows.items()}}


def photons(wave: Floats, flux: Floats) -> Floats:
    """Return ionising photons [s-1] of spectra (..., n_wave) [Lsun Hz-1], as FSPS counts them.

    The trapezoidal rule in frequency over the wavelengths up to 912 Angstrom: what lies
    between the last of these and the limit is not counted.
    """
    below = wave <= _LYMAN_LIMIT
    frequency = _LIGHT / wave[below]
    total = np.trapezoid(flux[..., below] / frequency, -frequency, axis=-1)
    return np.asarray(total / _PLANCK * _LSUN)


class _Gas:
    """Nebular light per ionising photon of young populations of one metallicity."""

    def __init__(self, stars: Any, met: int, lit: slice, young: Floats) -> None:  # noqa: ANN401
        self._stars, self._met, self._lit, self._young = stars, met, lit, young
        self._photons = photons(stars.wavelengths, young)[:, None]
        self._bare = np.where(stars.wavelengths <= _LYMAN_LIMIT, 0.0, young)

    def light(self, log_u: float, log_z: float) -> Floats:
        """Return nebular spectra (young, wave) [Lsun Hz-1 s]: with gas minus without."""
        params = self._stars.params
        params["add_neb_emission"], params["gas_logu"], params["gas_logz"] = True, log_u, log_z
        _, flux = self._stars.get_spectrum(zmet=self._met + 1, tage=0.0)
        params["add_neb_emission"] = False
        gas = flux[self._lit] - self._bare
        result: Floats = np.where(gas > _NOISE * self._young, gas, 0.0) / self._photons
        return result

    def errors(self, true: Floats, found: Floats) -> tuple[float, float]:
        """Return the largest relative error of light at any wavelength, and in any band."""
        wave = self._stars.wavelengths
        worst = []
        band = np.unique((np.log(wave) / 0.2).astype(int), return_index=True)[1]
        for step in (np.arange(wave.size), band):
            whole = np.add.reduceat(true, step, axis=-1)
            bright = whole > 0.01 * np.max(whole, axis=-1, keepdims=True)
            lost = np.abs(np.add.reduceat(found - true, step, axis=-1))
            worst.append(float(np.max(lost[bright] / whole[bright])))
        return worst[0], worst[1]


def _gas_errors(gas: _Gas, log_u: Floats, log_z: Floats) -> Floats:
    """Return errors of linear interpolation between nodes of log U (row 0) and of gas metallicity.

    Largest at any wavelength with a hundredth of the brightest light (column 0), and in bands a
    fifth of their wavelength wide (column 1), as shares of the nebular light; halfway between
    the nodes of one axis, at the middle of the other.
    """
    middle_u, middle_z = log_u[log_u.size // 2], log_z[log_z.size // 2]
    found = np.zeros((2, 2))
    for row, nodes in enumerate((log_u, log_z)):
        points = [(u, middle_z) if row == 0 else (middle_u, u) for u in nodes]
        between = [
            (a + b) / 2 for a, b in zip(np.array(points), np.array(points[1:]), strict=False)
        ]
        ends = [gas.light(*point) for point in points]
        for i, point in enumerate(between):
            true, line = gas.light(*point), (ends[i] + ends[i + 1]) / 2
            found[row] = np.maximum(found[row], gas.errors(true, line))
    return found


def _simple_populations(stars: Any, zmet: int) -> tuple[Floats, Floats, Floats]:  # noqa: ANN401
    """Return flux (age, wave), surviving mass and luminosity (age,) of one metallicity."""
    _, flux = stars.get_spectrum(zmet=zmet, tage=0.0)
    return flux, np.array(stars.stellar_mass), 10 ** np.array(stars.log_lbol)


def _lit_ages(log_age: Floats, tables: Floats) -> slice:
    """Return the ages to keep nebulae of: all up to the tables' last, from their first on."""
    first = int(np.searchsorted(log_age, tables[0], side="right")) - 1
    return slice(max(first, 0), int(np.searchsorted(log_age, tables[-1], side="right")))


def _dust(stars: Any, met: int, q_pah: Sequence[float], u_min: Sequence[float]) -> Floats:  # noqa: ANN401
    """Return dust spectra (component, qpah, umin, wave) [Lsun Hz-1 per Msun of dust].

    What a screen in front of young stars alone absorbs leaves the galaxy without being absorbed
    again: the spectrum with emission minus that without is the dust's own.
    """
    params = stars.params
    screen = {"dust_type": 0, "dust1": 1.0, "dust2": 0.0, "add_neb_emission": False}
    for name, value in screen.items():
        params[name] = value
    params["add_dust_emission"] = False
    _, bare = stars.get_spectrum(zmet=met + 1, tage=_DUST_AGE)
    params["add_dust_emission"] = True
    result = np.empty((2, len(q_pah), len(u_min), bare.size))
    for index in np.ndindex(result.shape[:3]):
        component, i, j = index
        params["duste_gamma"] = float(component)
        params["duste_qpah"], params["duste_umin"] = q_pah[i], u_min[j]
        _, flux = stars.get_spectrum(zmet=met + 1, tage=_DUST_AGE)
        light = np.where(flux - bare > _NOISE * bare, flux - bare, 0.0)
        result[index] = light / stars.dust_mass
    params["add_dust_emission"], params["dust1"] = False, 0.0
    return result


def _population(**arguments: Any) -> Any:  # noqa: ANN401  untyped
    """Return FSPS, ready: its files read."""
    from fsps import StellarPopulation  # noqa: PLC0415  looks for SPS_HOME when imported

    return StellarPopulation(**arguments)


def _driver() -> Any:  # noqa: ANN401  untyped
    """Return the compiled part of python-fsps; its package would look for data first."""
    found = importlib.util.find_spec("fsps")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("fsps is not installed")
    path = next(Path(found.submodule_search_locations[0]).glob("_fsps.*"))
    spec = importlib.util.spec_from_file_location("_fsps", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.driver


TASKS: dict[str, Callable[..., Answer]] = {
    "describe": describe,
    "probe": probe,
    "extract": extract,
    "spectra": spectra,
}


def main(folder: Path) -> None:
    """Answer the request in a folder; the result appears whole or not at all."""
    request = json.loads((folder / REQUEST).read_text())
    if request["home"]:
        os.environ["SPS_HOME"] = request["home"]
    arguments = request["arguments"]
    if (folder / ARRAYS).exists():
        with np.load(folder / ARRAYS) as arrays:
            arguments["tables"] = dict(arrays)
    facts, arrays = TASKS[request["task"]](**arguments)
    part = folder / f"part-{RESULT}"
    np.savez(part, **{FACTS: np.array(json.dumps(facts))}, **arrays)  # type: ignore[arg-type]
    part.replace(folder / RESULT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
