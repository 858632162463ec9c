"""Whether a network is to be believed of an SED, and whether the models are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pxdask.core.flags import Flag
from pxdask.fitting.downhill import nearest
from pxdask.fitting.npe_draws import Point
from pxdask.fitting.outliers import Oddness, OutlierLimit, predictive_p
from pxdask.fitting.rdsps import MIN_N_EFF
from pxdask.npe.mocks import FEWEST, greatest_snr
from pxdask.npe.noise import NoiseModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.core.fits import NpeConfig
    from pxdask.fitting.npe_draws import Cloud, InUnits, Judge
    from pxdask.fitting.npe_summary import Weighted
    from pxdask.fitting.target import Sampled
    from pxdask.npe.network import Network
    from pxdask.npe.redshift_check import RedshiftCheck

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

RELIABLE_TAIL = 0.7
"""Shape of the tail of weights above which they are not to be believed (Vehtari et al. 2024, JMLR
25, 72, section 3.2) [1]."""

N_CHECKED = 100
"""Draws of an SED whose fluxes are looked at where none is weighed: enough for a predictive
p-value to 0.05, and for an efficiency of 0.01 to be seen."""

LIMITS = ("plain", "weighed")
"""Names of a network's limits of outliers: for draws as they are, and for those re-weighted."""

_SYSTEMATIC = ("systematic_error", "systematic_sigma")


@dataclass(frozen=True, eq=False)
class Training:
    """What SEDs the mocks of a training were.

    Attributes
    ----------
    noise : NoiseModel
        Errors and missing bands.
    snr : tuple of float
        Least mean S/N, and the greatest of the best band, the systematic error apart.
    missing : float
        Part of the mocks that lost bands at random.
    """

    noise: NoiseModel
    snr: tuple[float, float]
    missing: float

    @classmethod
    def of(cls, network: Network) -> Training:
        """Return those of a network."""
        npe, noise = network.settings["npe"], NoiseModel.from_json(network.noise_json)
        low, high = npe["snr"]
        systematic = {name: network.settings[name] for name in _SYSTEMATIC}
        return cls(noise, (low, greatest_snr(noise, high, **systematic)), npe["missing"])

    def had(self, units: InUnits, sed: int) -> bool:
        """Return whether there were S/N and missing bands like an SED's.

        Mocks are selected by their mean S/N, systematic error included, at least that of ``snr``.
        Its upper end is without: with 5 % of systematic error no S/N is above 20, however bright.
        """
        has = units.inverse[sed] > 0
        mean = np.sum(units.data[sed] * units.inverse[sed]) / np.linalg.norm(units.inverse[sed])
        if not self.snr[0] <= mean or units.best_raw_snr[sed] > self.snr[1]:
            return False
        patterns = self.noise.patterns
        if np.any(np.all(patterns == has, axis=1)):
            return True
        enough = self.missing > 0 and int(np.count_nonzero(has)) >= FEWEST
        return enough and bool(np.any(np.all(patterns >= has, axis=1)))


class Near(NamedTuple):
    """The nearest model to an SED, and how odd that makes it.

    Attributes
    ----------
    point : Point
        The model.
    score : float
        See `Trust.scores`.
    redshift_ratio : float
        Natural log of the density of the redshift given the fluxes over the prior's; NaN where
        it is not known.
    """

    point: Point
    score: float
    redshift_ratio: float


@dataclass(frozen=True, eq=False)
class Trust:
    """What tells good SEDs and posteriors from others.

    Attributes
    ----------
    sampled : Sampled
        Models, likelihood, settings.
    limit : OutlierLimit
        How odd good SEDs are.
    training : Training, optional
        What SEDs the network knows; default: all.
    redshift_check : RedshiftCheck, optional
        Tells whether SEDs may have the redshift that is given.
    """

    sampled: Sampled
    limit: OutlierLimit = field(default_factory=OutlierLimit)
    training: Training | None = None
    redshift_check: RedshiftCheck | None = None

    @property
    def npe(self) -> NpeConfig:
        """Settings of the network's use."""
        return self.sampled.settings.npe

    def scores(self, judge: Judge, found: Oddness, sed: Indices) -> Floats:
        """Return how odd SEDs (n_sed,) are; above 1 are outliers.

        The logarithm of the chance of a good SED as odd, over that of ``false_alarms``.
        """
        ln_chance = self.limit.ln_chance(
            found, judge.units, sed, redshift=judge.redshift(sed), dof=self.sampled.dof
        )
        return ln_chance / math.log(self.npe.false_alarms)

    def nearest_points(self, judge: Judge, clouds: Sequence[Cloud], sed: Indices) -> list[Near]:
        """Return the nearest model to each SED, and how odd each SED and its redshift is.

        It is looked for, from the nearest draw on, only where that makes an outlier: a nearer one
        makes an SED less odd.
        """
        points = [cloud.nearest for cloud in clouds]
        gap = np.array([cloud.gap for cloud in clouds])
        ratio = judge.redshift_ratio(self.redshift_check, sed)
        redshift = None if ratio is None else -ratio
        found = Oddness(np.array([point.chi2 for point in points]), gap, redshift)
        score = self.scores(judge, found, sed)
        far = np.flatnonzero(~(score <= 1))
        if far.size:
            nearer = nearest_of(judge, [points[k] for k in far], sed[far])
            for k, point in zip(far, nearer, strict=True):
                points[k] = point
            chi2 = np.array([point.chi2 for point in nearer])
            own = None if redshift is None else redshift[far]
            score[far] = self.scores(judge, Oddness(chi2, gap[far], own), sed[far])
        ratios = np.full(sed.size, math.nan) if ratio is None else ratio
        return list(map(Near, points, score.tolist(), ratios.tolist()))

    def told(
        self,
        judge: Judge,
        one: Weighted,
        clouds: tuple[Cloud, Cloud],
        near: Near,
        *,
        sed: int,
    ) -> Weighted:
        """Return the posterior of an SED with what tells whether it is to be believed.

        Parameters
        ----------
        judge : Judge
            SEDs.
        one : Weighted
            The posterior.
        clouds : tuple of Cloud
            Draws that were held against the SED: all of them, and the network's own.
        near : Near
            The nearest model, and how odd the SED is.
        sed : int
            Which SED.
        """
        cloud, first = clouds
        known = self.training is None or self.training.had(judge.units, sed)
        strange = near.score > 1 or not known
        flags = int(Flag.OUT_OF_DISTRIBUTION) if strange else 0
        flags |= 0 if one.n_eff >= MIN_N_EFF else int(Flag.FEW_MODELS)
        even = np.full(cloud.chi2.size, 1 / cloud.chi2.size)
        trust = {
            "efficiency": first.weights.n_eff / first.chi2.size,
            "predictive_p": predictive_p(
                cloud.chi2,
                cloud.weights.share if self.npe.reweight else even,
                n_band=int(judge.units.n_measured[sed]),
                dof=self.sampled.dof,
            ),
            "outlier_score": near.score,
            # of an SED such as no mock was, a network does not know what it tells of redshifts
            "redshift_ratio": near.redshift_ratio if known else math.nan,
        }
        return replace(
            one,
            best=near.point if self._is_best(judge, sed) else one.best,
            n_used=int(judge.data.n_used[sed]),
            flags=flags,
            extra={"ln_evidence_err": math.nan, **one.extra, **trust},
        )

    def distrusts(self, cloud: Cloud, first: Cloud) -> bool:
        """Return whether draws of an SED are not to be believed: all, and the network's own.

        A network that hardly finds the posterior may have missed a part of it, however many draws
        count in the end.
        """
        n_eff, tail = cloud.weights.n_eff, cloud.weights.tail
        if first.weights.n_eff < self.npe.min_efficiency * first.chi2.size:
            return True
        few = n_eff < self.npe.min_n_eff and tail > RELIABLE_TAIL
        return self.npe.reweight and (few or n_eff < MIN_N_EFF)

    def _is_best(self, judge: Judge, sed: int) -> bool:
        """Return whether the model of the least chi-square is that of the greatest likelihood."""
        gaussian = math.isinf(self.sampled.dof) and not self.sampled.simulator.mass_priors
        return gaussian and not np.any(judge.data.limit[sed])


def nearest_of(judge: Judge, points: Sequence[Point], sed: Indices) -> list[Point]:
    """Return the models nearest to SEDs (n_sed,), looked for from a point of each."""
    if not points:
        return []
    simulator = judge.sampled.simulator
    found = nearest(
        judge.units,
        lambda unit: simulator.simulate(unit).flux,
        np.array([point.unit for point in points]),
        sed=sed,
    )
    flux = simulator.simulate(found.unit).flux.astype(np.float64)
    return [
        Point(found.unit[k], scale * flux[k], scale, float(found.chi2[k]))
        for k, scale in enumerate(found.scale.tolist())
    ]
