"""Whether a network is to be believed of an SED, and whether the models are."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.flags import Flag
from pxdask.core.random import stream
from pxdask.fitting.npe_draws import Judge, Point, in_units
from pxdask.fitting.outliers import (
    OutlierLimit,
    loosest,
    nearest,
    outlier_limit,
    predictive_p,
    safe_limit,
)
from pxdask.fitting.rdsps import MIN_N_EFF
from pxdask.fitting.target import Observed
from pxdask.npe.mocks import make_mocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.core.fits import NpeConfig
    from pxdask.fitting.npe_draws import Cloud, DrawSource
    from pxdask.fitting.npe_summary import Weighted
    from pxdask.fitting.target import Sampled
    from pxdask.npe.noise import NoiseModel

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

RELIABLE_TAIL = 0.7
"""Shape of the tail of weights above which they are not to be believed (Vehtari et al. 2024, JMLR
25, 72, section 3.2) [1]."""

N_MOCKS = 2048
"""Good SEDs that the limit of outliers is learnt from, 340 in each class of S/N: 2 % of these are
then 2 % to 0.8 %."""

FEWEST = 3
"""Bands that a mock has at least where some are taken away at random: that of
`pxdask.npe.mocks`."""

_N_DRAWS = 128
"""Draws of each of them, from the nearest of which the nearest model is looked for."""

_TOGETHER = 128
"""SEDs of them that are held at a time."""


@dataclass(frozen=True, eq=False)
class Trust:
    """What tells good SEDs and posteriors from others.

    Attributes
    ----------
    sampled : Sampled
        Models, likelihood, settings.
    limit : OutlierLimit
        How far from all models a good SED may be.
    noise : NoiseModel, optional
        Of the training; it says which bands were missing.
    """

    sampled: Sampled
    limit: OutlierLimit
    noise: NoiseModel | None = None

    @property
    def npe(self) -> NpeConfig:
        """Settings of the network's use."""
        return self.sampled.settings.npe

    def limits(self, judge: Judge, sed: Indices) -> Floats:
        """Return the limit of the least chi-square of some SEDs (n_sed,)."""
        return self.limit(judge.units.n_measured[sed], judge.units.snr[sed])

    def nearest_points(self, judge: Judge, clouds: Sequence[Cloud], sed: Indices) -> list[Point]:
        """Return the nearest model to each SED.

        It is looked for, from the nearest draw on, only where that is beyond the limit.
        """
        points, limit = [cloud.nearest for cloud in clouds], self.limits(judge, sed)
        far = [k for k, point in enumerate(points) if not point.chi2 <= limit[k]]
        if not far:
            return points
        simulator = self.sampled.simulator
        found = nearest(
            judge.units,
            lambda unit: simulator.simulate(unit).flux,
            np.array([points[k].unit for k in far]),
            sed=sed[far],
        )
        flux = simulator.simulate(found.unit).flux.astype(np.float64)
        for row, k in enumerate(far):
            scale = float(found.scale[row])
            points[k] = Point(found.unit[row], scale * flux[row], scale, float(found.chi2[row]))
        return points

    def told(
        self, judge: Judge, one: Weighted, cloud: Cloud, first: Cloud, point: Point, *, sed: int
    ) -> Weighted:
        """Return the posterior of an SED with what tells whether it is to be believed.

        Parameters
        ----------
        judge : Judge
            SEDs.
        one : Weighted
            The posterior.
        cloud, first : Cloud
            Draws that were held against the SED: all of them, and the network's own.
        point : Point
            The nearest model.
        sed : int
            Which SED.
        """
        far = point.chi2 / float(self.limits(judge, np.array([sed]))[0])
        strange = far > 1 or self._beyond_training(judge, sed)
        flags = int(Flag.OUT_OF_DISTRIBUTION) if strange else 0
        flags |= 0 if one.n_eff >= MIN_N_EFF else int(Flag.FEW_MODELS)
        even = np.full(cloud.chi2.size, 1 / cloud.chi2.size)
        trust = {
            "efficiency": first.weights.n_eff / first.chi2.size,
            "predictive_p": predictive_p(
                cloud.chi2,
                cloud.weights.share if self.npe.reweight else even,
                n_band=int(judge.units.n_measured[sed]),
            ),
            "outlier_score": far,
        }
        return replace(
            one,
            best=point if self._is_best(judge, sed) else one.best,
            n_used=int(judge.data.n_used[sed]),
            flags=flags,
            extra={"ln_evidence_err": math.nan, **one.extra, **trust},
        )

    def distrusts(self, cloud: Cloud, first: Cloud) -> bool:
        """Return whether draws are not to be believed of an SED; arguments as of `told`.

        A network that hardly finds the posterior may have missed a part of it, however many draws
        count in the end.
        """
        n_eff, tail = cloud.weights.n_eff, cloud.weights.tail
        if first.weights.n_eff < self.npe.min_efficiency * first.chi2.size:
            return True
        few = n_eff < self.npe.min_n_eff and tail > RELIABLE_TAIL
        return self.npe.reweight and (few or n_eff < MIN_N_EFF)

    def _beyond_training(self, judge: Judge, sed: int) -> bool:
        """Return whether S/N or missing bands are such as no mock had.

        Mocks are selected by their mean S/N, at least that of ``snr``; its upper end is about the
        best band, less what systematic errors make of it.
        """
        units, npe = judge.units, self.npe
        low, high = npe.snr
        has = units.inverse[sed] > 0
        mean = np.sum(units.data[sed] * units.inverse[sed]) / np.linalg.norm(units.inverse[sed])
        if not low <= mean or units.best_snr[sed] > high:
            return True
        if self.noise is None:
            return False
        patterns = self.noise.patterns
        if npe.missing == 0:
            return not np.any(np.all(patterns == has, axis=1))
        return int(np.count_nonzero(has)) < FEWEST or not np.any(np.all(patterns >= has, axis=1))

    def _is_best(self, judge: Judge, sed: int) -> bool:
        """Return whether the model of the least chi-square is that of the greatest likelihood."""
        gaussian = math.isinf(self.sampled.dof) and not self.sampled.simulator.mass_priors
        return gaussian and not np.any(judge.data.limit[sed])


def learnt_limit(sampled: Sampled, network: DrawSource, noise: NoiseModel) -> OutlierLimit:
    """Return the limit of outliers, learnt from mocks with the noise of the training.

    Parameters
    ----------
    sampled : Sampled
        Models at the redshift of the SEDs, or of a free one.
    network : DrawSource
        Whose draws are where the nearest models are looked for.
    noise : NoiseModel
        Errors and missing bands.

    Raises
    ------
    DataError
        If nearly no mock passes the selection.
    """
    library, settings = sampled.model_library, sampled.settings
    mocks = make_mocks(
        library, noise, n=N_MOCKS, seed=library.seed, settings=settings, redshift_given=False
    )
    data = Observed(mocks.flux, mocks.error, np.zeros(mocks.flux.shape, bool))
    judge = Judge(sampled, data, in_units(data))
    # nearer than that is below whatever limit; the nearest need not be found
    part = loosest(settings.npe.false_alarms)
    most_fitted = OutlierLimit(part, (0.0,), (float(sampled.n_dim),))
    trust = Trust(sampled, most_fitted)
    chi2 = np.empty(len(mocks))
    for first in range(0, len(mocks), _TOGETHER):
        sed = np.arange(first, min(first + _TOGETHER, len(mocks)))
        rngs = [stream(library.seed, "outliers", i) for i in sed.tolist()]
        clouds = judge.clouds(judge.draws(network, sed, rngs, n_draws=_N_DRAWS), sed)
        chi2[sed] = [point.chi2 for point in trust.nearest_points(judge, clouds, sed)]
    return outlier_limit(
        chi2, judge.units.n_measured, judge.units.snr, false_alarms=settings.npe.false_alarms
    )


def safe_trust(sampled: Sampled) -> Trust:
    """Return trust by a limit that no mocks are needed for, and fewer outliers are beyond."""
    return Trust(sampled, safe_limit(sampled.settings.npe.false_alarms))
