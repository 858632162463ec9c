"""Populations seen through bands, made once for a redshift: what a model is then summed from."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pxdask.core.constants import LSUN_ERG_S, MPC_CM, UJY_CGS
from pxdask.core.cosmology import luminosity_distance
from pxdask.core.errors import ConfigError
from pxdask.kernels import igm
from pxdask.kernels.bandpass import bin_weights
from pxdask.kernels.dust import LAWS, REFERENCE_WAVE, birth_cloud
from pxdask.kernels.ingredients import Columns
from pxdask.kernels.spectra import interpolation_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter
    from pxdask.core.models import ModelConfig
    from pxdask.sps.populations import Populations

    Floats = NDArray[np.float64]

N_NODE = 6
"""Interpolation nodes of the attenuation in a band, or in each part of a band that a break of
the law divides; 0.1 per cent for bands attenuated by less than 5 mag."""

_ENERGY_EDGES = {
    "calzetti": (91.0, 912.0, 1200.0, 3000.0, 6300.0, 1.2e4, 31149.8),
    "kriek_conroy": (91.0, 912.0, 1200.0, 1900.0, 2175.0, 2450.0, 3500.0, 6300.0, 1.2e4, 31149.8),
    "charlot_fall": (
        91.0, 912.0, 1700.0, 3000.0, 6300.0, 1.2e4, 3.1e4, 1.2e5, 4e5, 1.5e6, 1e7,
    ),
}  # fmt: skip
"""Pieces of the spectrum over which absorbed energy is integrated, by attenuation law; where a
law is zero nothing is absorbed [Angstrom]."""

_ROUNDING = 1e-3
"""Share of the power of dust that energy columns may miss for no reason but rounding [1]."""

_LANES = 16
"""Numbers of columns are multiples of this: float32 numbers in the widest vector register."""

_IGM: dict[str, Callable[..., Floats]] = {"madau95": igm.madau1995, "inoue14": igm.inoue2014}


class Binned(Protocol):
    """Whatever has wavelength bins: their centres and edges, rest frame [Angstrom]."""

    @property
    def wave(self) -> Floats:
        """Centres, (n_wave,)."""
        ...

    @property
    def wave_edges(self) -> Floats:
        """Edges, (n_wave + 1,)."""
        ...


def band_weights(
    stars: Binned, filters: Sequence[Filter], settings: ModelConfig, *, redshift: float
) -> Floats:
    """Return weights (n_band, n_wave) from Lsun Angstrom-1 in the rest frame to uJy.

    Raises
    ------
    ConfigError
        If a filter sees wavelengths that the populations do not cover.
    DataError
        If the redshift is not positive.
    """
    edges = stars.wave_edges * (1 + redshift)
    faults = [
        f"filter {band.name!r} spans {band.wave[0]:.0f}-{band.wave[-1]:.0f} Angstrom"
        for band in filters
        if band.wave[0] < edges[0] or band.wave[-1] > edges[-1]
    ]
    if faults:
        raise ConfigError(
            f"at redshift {redshift} the stellar populations span"
            f" {edges[0]:.0f}-{edges[-1]:.0f} Angstrom:\n  - " + "\n  - ".join(faults)
        )
    distance = luminosity_distance(settings, redshift=redshift) * MPC_CM
    scale = LSUN_ERG_S / (4 * np.pi * distance**2 * (1 + redshift) * UJY_CGS)
    transmitted = igm_transmission(settings, stars.wave, redshift=redshift)
    weights = [bin_weights(band, edges) for band in filters]
    result: Floats = np.reshape(weights, (len(filters), edges.size - 1)) * transmitted * scale
    return result


def igm_transmission(settings: ModelConfig, wave: Floats, *, redshift: float) -> Floats:
    """Return the transmission of the intergalactic medium at rest-frame wavelengths."""
    if settings.igm == "none":
        return np.ones(wave.size)
    return _IGM[settings.igm](wave * (1 + redshift), redshift=redshift)


def make_columns(
    stars: Populations, weights: Floats, settings: ModelConfig, *, energy: bool
) -> Columns:
    """Return the columns of bands.

    Parameters
    ----------
    stars : Populations
        What shines.
    weights : (n_band, n_wave) float64
        From `band_weights`.
    settings : ModelConfig
        Attenuation law and gas.
    energy : bool
        Whether columns for the absorbed energy are wanted.

    Returns
    -------
    columns : Columns
    """
    law = LAWS[settings.dust]
    pieces = [_pieces(stars.wave, row, law.breaks) for row in weights]
    n_piece = [len(band) for band in pieces]
    if energy:
        pieces.append(_energy_pieces(stars, _ENERGY_EDGES[settings.dust]))
    flat = [piece for band in pieces for piece in band]
    node = np.concatenate([np.empty(0), *(nodes for _, nodes, _ in flat)])
    counts = np.array([nodes.size for _, nodes, _ in flat], dtype=np.int64)
    ends = np.concatenate([[0], np.cumsum(counts)])
    n_dark = -node.size % _LANES
    node = np.concatenate([node, np.full(n_dark, REFERENCE_WAVE)])
    dust = _seen(stars.dust, flat)
    start = ends[sum(n_piece)]
    dust_seen = dust[..., start:].sum(axis=-1, dtype=np.float64)
    unseen = stars.dust_power[: dust.shape[0]] - dust_seen
    return Columns(
        stars=_seen(stars.stars, flat),
        nebular=_seen(stars.nebular, flat),
        ionising=stars.ionising,
        young=stars.young,
        young_share=stars.young_share,
        n_birth=stars.n_birth if settings.dust == "charlot_fall" else 0,
        luminosity=stars.luminosity,
        dust=dust,
        dust_power=stars.dust_power,
        dust_unseen=np.where(unseen > _ROUNDING * stars.dust_power[: dust.shape[0]], unseen, 0),
        torus=_seen(stars.torus, flat),
        base=law.base(node).astype(np.float32),
        bump=law.bump(node).astype(np.float32),
        ln_wave=np.log(node / REFERENCE_WAVE).astype(np.float32),
        birth=birth_cloud(node).astype(np.float32),
        first=ends[np.concatenate([[0], np.cumsum(n_piece, dtype=np.int64)])],
    )


def _pieces(
    wave: Floats, weights: Floats, breaks: tuple[float, ...]
) -> list[tuple[slice, Floats, NDArray[np.float32]]]:
    """Return the range, nodes and projection of each part that the breaks divide a band into."""
    used = np.flatnonzero(weights)
    found = []
    for first, stop in pairwise([0, *np.searchsorted(wave, breaks), wave.size]):
        inside = used[(used >= first) & (used < stop)]
        if inside.size:
            kept = slice(int(inside[0]), int(inside[-1]) + 1)
            node, projection = interpolation_columns(wave[kept], weights[kept], n_node=N_NODE)
            found.append((kept, node, projection.astype(np.float32)))
    return found


def _energy_pieces(
    stars: Populations, edges: tuple[float, ...]
) -> list[tuple[slice, Floats, NDArray[np.float32]]]:
    """Return the pieces that integrate over all wavelengths between the first and last edge."""
    widths = np.where(
        (stars.wave > edges[0]) & (stars.wave < edges[-1]), np.diff(stars.wave_edges), 0.0
    )
    return _pieces(stars.wave, widths, edges[1:-1])


def _seen(
    spectra: NDArray[np.float32], pieces: Sequence[tuple[slice, Floats, NDArray[np.float32]]]
) -> NDArray[np.float32]:
    """Return spectra (..., n_wave) projected on all pieces, (..., n_column)."""
    parts = [spectra[..., kept] @ projection for kept, _, projection in pieces]
    n_column = sum(part.shape[-1] for part in parts)
    dark = np.zeros((*spectra.shape[:-1], -n_column % _LANES), dtype=np.float32)
    return np.ascontiguousarray(np.concatenate([*parts, dark], axis=-1))
