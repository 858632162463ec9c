"""Slices of made-up cubes, that the tests of ifs share."""

import numpy as np
import xarray as xr

from pxdask.core.flags import Flag
from pxdask.core.ifs import IfsConfig
from pxdask.core.schema import IFS
from pxdask.ifs import IfsStage
from pxdask.images.psf import Psf

GALAXY = {"id": "ngc1", "ra": 53.1, "dec": -27.8, "redshift": 0.01}


def slices(on, flux, error, *, wave=None, psf=2.5, lsf=5.0, noise_area=1.0, ebv=0.0, flags=None):
    """A schema ifs/1 dataset of arrays (n_wave, ny, nx) on a grid."""
    flux = np.asarray(flux, np.float32)
    n = flux.shape[0]
    wave = 5000.0 + 2.0 * np.arange(n) if wave is None else np.asarray(wave)
    flags = np.zeros(flux.shape, np.uint16) if flags is None else flags
    cube = ("wave", "y", "x")
    return IFS.validate(
        xr.Dataset(
            {
                "lsf_fwhm": ("wave", np.broadcast_to(lsf, n).astype(float), IFS.attrs("lsf_fwhm")),
                "psf_fwhm": ("wave", np.broadcast_to(psf, n).astype(float), IFS.attrs("psf_fwhm")),
                "flux": (cube, flux, IFS.attrs("flux")),
                "flux_err": (
                    cube,
                    np.broadcast_to(np.asarray(error, np.float32), flux.shape).copy(),
                    IFS.attrs("flux_err"),
                ),
                "flags": (cube, flags, IFS.attrs("flags")),
            },
            coords={"wave": ("wave", wave, IFS.attrs("wave"))},
            attrs={
                "schema": IFS.tag,
                "wcs": on.wcs,
                "kind": "generic",
                "ebv": ebv,
                "noise_area": noise_area,
                "path": "cube.fits",
            },
        )
    )


def hide(ds, where):
    """The dataset with some pixels masked, as readers mask them."""
    return ds.assign(
        flux=ds["flux"].where(~where),
        flux_err=ds["flux_err"].where(~where),
        flags=ds["flags"].copy(data=np.where(where, int(Flag.MASKED), 0).astype(np.uint16)),
    )


def stage(grid, target=None, *, keep=None, dust=None, **settings):
    """A stage to a grid; the target's FWHM in arcsec, what the stage itself is told of dust."""
    config = IfsConfig(path="cube.fits", **settings)
    psf = None if target is None else Psf(fwhm=target)
    return IfsStage(config=config, grid=grid, target=psf, keep=keep, **(dust or {}))
