"""What is fitted: parameters of sources and sky, and the form of the problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pxdask.morphology.transforms import kind_of

if TYPE_CHECKING:
    from pxdask.morphology.transforms import Kind

Profile = Literal["sersic", "sersic_exponential", "point", "sersic_point"]

_ELLIPSE = ("xc", "yc", "r_eff", "ellip", "theta", "n")

PARAMETERS: dict[Profile, tuple[str, ...]] = {
    "sersic": ("flux", *_ELLIPSE),
    "sersic_exponential": (
        "flux",
        "bulge_fraction",
        *_ELLIPSE,
        "disc_r_eff",
        "disc_ellip",
        "disc_theta",
    ),
    "point": ("flux", "xc", "yc"),
    "sersic_point": ("flux", "point_flux", *_ELLIPSE),
}
"""Parameters of one source in one band. ``flux`` is that of all components, save in sersic_point,
where it is fitted as that of the Sersic profile (and reported with the point's added)."""

SKY: dict[str, tuple[str, ...]] = {
    "none": (),
    "flat": ("sky",),
    "tilted": ("sky", "sky_x", "sky_y"),
}
"""Terms of each band's sky."""

UNITS = {
    "flux": "uJy",
    "point_flux": "uJy",
    "bulge_fraction": "",
    "xc": "arcsec",
    "yc": "arcsec",
    "r_eff": "arcsec",
    "ellip": "",
    "theta": "deg",
    "n": "",
    "disc_r_eff": "arcsec",
    "disc_ellip": "",
    "disc_theta": "deg",
    "sky": "uJy",
    "sky_x": "uJy",
    "sky_y": "uJy",
}
"""Units of reported values; inside, angles are in radians."""

LONG_NAMES = {
    "flux": "total flux density of the model",
    "point_flux": "flux density of the point at the centre",
    "bulge_fraction": "part of the flux in the Sersic component",
    "xc": "centre east of the catalogue's position",
    "yc": "centre north of the catalogue's position",
    "r_eff": "half-light radius along the major axis",
    "ellip": "1 - axis ratio",
    "theta": "major axis, from north to east",
    "n": "Sersic index",
    "disc_r_eff": "half-light radius of the disc along the major axis",
    "disc_ellip": "1 - axis ratio of the disc",
    "disc_theta": "major axis of the disc, from north to east",
    "sky": "sky that was left, per pixel, at the galaxy's position",
    "sky_x": "rise of the sky over half of the stamp's side along x, per pixel",
    "sky_y": "rise of the sky over half of the stamp's side along y, per pixel",
}
"""Meanings of reported values."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The form of a problem: what must agree for two to share a compiled program.

    Attributes
    ----------
    groups : tuple of (int, int)
        Bands and side [pix] of each group of bands of one stamp size.
    sources : tuple of str
        Profile of the galaxy, then those of neighbours.
    sky : {"none", "flat", "tilted"}
        Terms of each band's sky.
    n_dim : int
        Numbers that are fitted.
    loss : {"gaussian", "student_t"}
        Distribution of residuals.
    given : tuple of str
        Parameters of the galaxy that have a given prior between bounds.
    """

    groups: tuple[tuple[int, int], ...]
    sources: tuple[Profile, ...]
    sky: Literal["none", "flat", "tilted"]
    n_dim: int
    loss: Literal["gaussian", "student_t"]
    given: tuple[str, ...] = ()

    @property
    def local(self) -> tuple[tuple[int, str], ...]:
        """Source and name of each parameter of one band; of the sky, source -1."""
        shapes = [(i, name) for i, each in enumerate(self.sources) for name in PARAMETERS[each]]
        return (*shapes, *((-1, name) for name in SKY[self.sky]))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Transform of each parameter of one band."""
        return tuple(
            "truncated" if i == 0 and name in self.given else kind_of(name, self.sources[max(i, 0)])
            for i, name in self.local
        )

    @property
    def n_band(self) -> int:
        """Bands of all groups."""
        return sum(count for count, _ in self.groups)


def fft_side(side: int) -> int:
    """Return the side of the transforms of stamps of a bucket's side [pix].

    A quarter is added, at least 16: room for the PSF's wings, and for those of Gaussians that
    would come round to the other side.
    """
    return side + max(16, side // 4)
