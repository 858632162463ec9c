"""What every implementation of a protocol must pass, and small made-up data to try it on."""

from pxdask.testing.contracts import check_fitter, check_stage, digest
from pxdask.testing.fakes import FakeGalaxy, fake_galaxy, fake_models, library_of, seds_of

__all__ = [
    "FakeGalaxy",
    "check_fitter",
    "check_stage",
    "digest",
    "fake_galaxy",
    "fake_models",
    "library_of",
    "seds_of",
]
