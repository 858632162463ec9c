"""Small mock scenes, by a renderer that is not pxdask's."""

import numpy as np

from benchmarks.morphology_mocks import DEC, RA, Camera, Truth, fine_image, make_stamp
from pxdask.core.morphology import MorphologyConfig
from pxdask.morphology.scene import make_scene

TRUTH = Truth(flux=40.0, xc=0.06, yc=-0.05, r_eff=0.7, n=1.4, ellip=0.35, theta=0.8)
CAMERA = Camera(0.2, 0.62)


def stamps_of(truths, *, snr=200.0, cameras=None, side=32, seed=3):
    """Return a stamp of each band of a mapping of truths."""
    rng, found = np.random.default_rng(seed), {}
    for band, truth in truths.items():
        camera = (cameras or {}).get(band, CAMERA)
        image = fine_image(truth, camera, side=side)
        noise = float(np.sqrt((image**2).sum())) / snr
        found[band] = make_stamp(band, image, camera, noise=noise, rng=rng)
    return found


def scene_of(stamps, *, config=None, galaxy=None, neighbours=()):
    """Return the scene of stamps about the mocks' position."""
    return make_scene(
        stamps,
        ra=RA,
        dec=DEC,
        config=config or MorphologyConfig(),
        galaxy=galaxy or {"id": "mock"},
        neighbours=neighbours,
    )
