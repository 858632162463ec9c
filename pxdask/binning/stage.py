"""The pipeline stage that bins a cube."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import xarray as xr

from pxdask.binning.sums import BinSums, bin_sums
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.provenance import canonical_json
from pxdask.core.schema import BINS, Schema
from pxdask.kernels.binning import sed_similarity_bins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pxdask.core.config import BinConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BinStage:
    """Bin the pixels of a galaxy by the similarity of their SEDs; see `sed_similarity_bins`.

    Attributes
    ----------
    config : BinConfig
        Settings.
    """

    config: BinConfig
    name: ClassVar[str] = "bins"
    version: ClassVar[int] = 2
    inputs: ClassVar[tuple[str, ...]] = ("cube",)
    output: ClassVar[Schema] = BINS

    def settings(self) -> dict[str, object]:
        """Return the settings that the output depends on."""
        return self.config.model_dump(mode="json")

    def run(self, galaxy: Mapping[str, object], *, cube: xr.Dataset) -> xr.Dataset:
        """Return the bins of one galaxy.

        Parameters
        ----------
        galaxy : mapping
            Catalogue row; only ``id`` is read, for messages.
        cube : Dataset
            ``image/1`` with ``region``: matched images on one grid.

        Returns
        -------
        bins : Dataset
            ``bins/1``. Fluxes are sums over usable pixels; their errors grow with the noise
            correlation if the settings ask so. NaN, both, where a bin has no usable pixel in a
            band. Flags are those of any pixel, and `Flag.LOW_SNR` where a demand is missed.

        Raises
        ------
        DataError
            If the cube has no region, or an empty one.
        ConfigError
            If the settings name a band that the cube does not have.
        """
        galaxy_id = galaxy.get("id", "of unknown id")
        region = _region(cube, galaxy_id)
        bands = [str(band) for band in cube["band"].to_numpy()]
        reference = self._reference(bands, cube["pivot_wave"].to_numpy())
        min_snr = self._min_snr(bands)
        area = cube["noise_area"].to_numpy() if self.config.correlated_noise else 1.0
        flux = cube["flux"].to_numpy().astype(float)
        flux_err = cube["flux_err"].to_numpy().astype(float)
        bin_map = sed_similarity_bins(
            flux,
            flux_err,
            region,
            reference=reference,
            min_snr=min_snr,
            min_diameter=self.config.min_diameter,
            max_chi2=self.config.max_chi2,
            ring_width=self.config.ring_width,
            noise_area=area,
        )
        flags = cube["flags"].to_numpy()
        sums = bin_sums(flux, flux_err, bin_map, noise_area=area, flags=flags)
        logger.info("galaxy %s: %d pixels in %d bins", galaxy_id, region.sum(), len(sums.n_pix))
        attrs = {
            "n_bin": len(sums.n_pix),
            "reference_band": bands[reference],
            "settings": canonical_json(self.settings()),
        }
        if "wcs" in cube.attrs:
            attrs["wcs"] = cube.attrs["wcs"]
        return _dataset(cube, bin_map, sums, _low_snr(sums, min_snr)).assign_attrs(attrs)

    def _reference(self, bands: list[str], pivot_wave: NDArray[np.float64]) -> int:
        """Return the number of the reference band: the one named, or the middle in wavelength."""
        wanted = self.config.reference_band
        if wanted is None:
            return int(np.argsort(pivot_wave, kind="stable")[(len(bands) - 1) // 2])
        if wanted not in bands:
            raise ConfigError(f"binning.reference_band is {wanted!r}; the cube's bands are {bands}")
        return bands.index(wanted)

    def _min_snr(self, bands: list[str]) -> NDArray[np.float64]:
        """Return the S/N demanded in each band, 0 for no demand."""
        if not isinstance(self.config.snr, dict):
            return np.full(len(bands), float(self.config.snr))
        if unknown := sorted(set(self.config.snr) - set(bands)):
            raise ConfigError(f"binning.snr names {unknown}; the cube's bands are {bands}")
        return np.array([self.config.snr.get(band, 0.0) for band in bands])


def _region(cube: xr.Dataset, galaxy_id: object) -> NDArray[np.bool_]:
    """Return the galaxy's pixels, at least one."""
    if "region" not in cube:
        raise DataError(
            f"galaxy {galaxy_id}: the cube has no variable 'region'; bins need the pixels that"
            " belong to the galaxy, as the stage that makes cubes marks them"
        )
    region: NDArray[np.bool_] = cube["region"].to_numpy()
    if not region.any():
        raise DataError(
            f"galaxy {galaxy_id}: its region has no pixel, wanted at least one; lower"
            " images.region.threshold or images.region.min_area, merge more images.region.bands,"
            " or check that the catalogue's position is on the galaxy"
        )
    return region


def _low_snr(sums: BinSums, min_snr: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where bins miss the S/N demanded; rounding is no miss, no usable pixel is one."""
    reached = sums.flux >= min_snr * (1.0 - 1e-9) * sums.flux_err
    return (min_snr > 0) & ~reached


def _dataset(
    cube: xr.Dataset,
    bin_map: NDArray[np.int32],
    sums: BinSums,
    low_snr: NDArray[np.bool_],
) -> xr.Dataset:
    """Return a ``bins/1`` dataset with the bands of the cube."""
    flags = sums.flags | np.where(low_snr, Flag.LOW_SNR, 0).astype(np.uint16)
    values: dict[str, NDArray[np.generic]] = {
        "bin_map": bin_map,
        "flux": sums.flux,
        "flux_err": sums.flux_err,
        "n_pix": sums.n_pix,
        "flags": flags,
        "band": np.array([str(band) for band in cube["band"].to_numpy()], dtype=object),
        "pivot_wave": cube["pivot_wave"].to_numpy().astype(float),
    }
    variables = {
        name: (BINS.variables[name].dims, value, BINS.attrs(name)) for name, value in values.items()
    }
    coords = {name: variables.pop(name) for name in ("band", "pivot_wave")}
    bins = xr.Dataset(variables, coords=coords, attrs={"schema": BINS.tag})
    bins["flags"].attrs.update(flag_attrs())
    return bins
