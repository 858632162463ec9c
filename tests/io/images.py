"""Pixels and header cards of a small image."""

import numpy as np

PIXELS = np.arange(12 * 20, dtype=np.float32).reshape(12, 20)


def sky_cards(**changes):
    return {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": 150.0,
        "CRVAL2": 2.0,
        "CRPIX1": 10.5,
        "CRPIX2": 6.5,
        "CDELT1": -1e-4,
        "CDELT2": 1e-4,
        "BUNIT": "nJy",
        **changes,
    }
