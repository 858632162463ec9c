"""What the page of the acceptance study of amortised posteriors says beside its tables.

Figures that the page does not compute are in the parts that come after `ONCE`, which says so.
"""

COMMENT = """\
Coverage and widths: the range of all targets, of log mass, log age, A_V and metallicity; outliers:
S/N 2-30. Mocks are drawn independently, so that of exact posteriors, too, one p of ranks in a
hundred is below 0.01. Widths of a network alone are a matter of computing time: every mock is
learnt from once and nothing by heart, and where a posterior is a small part of the prior, what is
not yet learnt widens it. Where widths matter, draws are re-weighted, as by default. They come from
the network with its Gaussians widened by a fifth: what a network proposes too seldom has few draws
of great weight, which most SEDs lack. The exact posteriors are those of dense libraries (RDSPS,
262,144 models).

Where draws are not re-weighted (`fit.npe.reweight: false`), SEDs with upper limits are re-weighted
all the same, as a network takes a limit for a missing band; priors that depend on mass
(`joint_with_mass`) are refused, as no network knows them.

A training runs where JAX does: on a GPU, without any setting, if JAX's CUDA wheels are installed
(`pip install "jax[cuda12]"`), else on the CPU; networks are used without JAX, on CPUs. This page is
of CPUs alone; `pytest -m gpu` compares the two where there is a GPU."""
"""What is to be said of the table."""

ONCE = """\
## Measured once

What follows was measured once, on 2026-11-21 and before, calibration on 2026-11-22, by networks and
mocks of that time as they are described; it is not made again with this page, whose own figures are
those above."""
"""What is said before figures that the page does not make."""

CALIBRATION = """\
Of 54,910 and 54,721 other independent mocks, ranks by the two networks alone (delayed tau,
Dirichlet; 32 million mocks) had a p of 0.04 to 0.47 and of 0.09 to 0.60 for their targets,
distances of 0.006 and less, coverage of 0.679 to 0.687, and joint coverage off by 0.005 both; of
45,573 more of delayed tau p was 0.03 to 0.20, distances 0.007 and less, and 0.005 and more of these
and this page's 18,327 together. So ranks of a network alone are off by some 0.005, which is told
from nothing by 50,000 mocks and not by 5,000; that dust of delayed tau had a p of 0.005 by 18,327
mocks is this and chance. Of 5,000 at S/N 2-30 and the five redshifts above, re-weighted, p was 0.14
to 0.60 and 0.05 to 0.81, coverage 0.666 to 0.694. Until then mocks had been even points of the
priors (Sobol), as those of trainings are: with these ranks are too even, and p too great."""
"""What was found of calibration."""

WIDTHS = """\
For delayed tau at S/N 10-30 widths of the network alone were at most 1.154 of the exact ones with 8
million mocks, 1.113 with 16 and 1.084 with 32, the default. A training with these took some 37 CPU
minutes, for Dirichlet histories 55, beside other work on 4 cores; its check of redshifts 8 and 12
more.

Without the wider Gaussians, 60 SEDs of Dirichlet histories at S/N 10-30, z = 2.5, had widths of
0.972 of the exact ones for mass and 0.963 for age with 300 effective draws, and 0.994 and 0.996
with 4,000; the library, of a million models, and a quarter of it agreed to 0.1 per cent. Of 300
effective draws, a quantile of a mass known to 0.2 dex is uncertain by 0.02 dex: most of the SEDs
whose quantiles differ by 0.05 do so by chance. With 3,000 effective draws and models on both sides,
and a library of a million (`python -m benchmarks.npe_quantiles`), 99.7 % of a thousand SEDs of
delayed tau agreed, and 99.8 % of Dirichlet histories, with an rms of 0.0065 and 0.0040 dex. The
five that remained have three to five bands at S/N 2-3, and masses uncertain by 0.2 to 1 dex, of one
hump. There it matters that a library weighs models by the likelihood at the best amplitude:
integrals over masses are within 0.03 dex of the re-weighted quantiles of four of them, and 0.04 to
0.07 from the library's. The fifth, of 3 bands and 1 dex, is off by 0.07, by 0.04 with 140,000
effective draws, and the library by 0.10.

Libraries weigh models by the likelihood at the best amplitude, and scatter masses by its error;
integrals over a mass with a flat prior, of as many other models, had the same widths to 0.5 per
cent in each bin of S/N (60 SEDs in each, at z = 3.5, for both forms of history; without the
scatter, masses would be 0.5 to 1.5 per cent narrower), and MCMC to 1.5 per cent (15 SEDs of delayed
tau in each, z = 2.5)."""
"""What was found of widths."""

REDSHIFTS = """\
One SED is called odd less often than wanted (90 %) where its redshift is wrong by 1. `python -m
benchmarks.npe_redshifts` says what any test of one SED could do: it computes evidences as sums over
two million models, with nothing learnt. The best test of a redshift against all others, the ratio
of evidences, calls so many odd if 5 % of false alarms are all spent on it, and that against two
redshifts known to be 1 off alone (600 SEDs; to 0.02):

| S/N | delayed_tau, others | delayed_tau, 1 off | dirichlet, others | dirichlet, 1 off |
|---|---|---|---|---|
| 2-5 | 0.86 | 0.92 | 0.61 | 0.70 |
| 5-10 | 0.94 | 0.97 | 0.78 | 0.82 |
| 10-30 | 0.96 | 0.98 | 0.92 | 0.93 |
| 2-30 | 0.92 | 0.96 | 0.78 | 0.83 |

So for Dirichlet histories the information is not in the fluxes of one SED, whatever the method, and
for delayed tau nearly all of it is needed. Networks learn p(z | fluxes), as probabilities of 200
parts of the span of redshifts, from 4 million mocks: at 5 % of false alarms that ratio alone called
0.89 and 0.75 odd over S/N 2-30, on SEDs of which the exact ratio calls 0.90 and 0.78; a mixture of
8 Gaussians that learnt from 2 million mocks, as before, 0.83 and 0.70. An SED's chances by the
three figures, chi-square, evidence and this ratio, are weighed as one. Limits are learnt from mocks
of all S/N from 1 on: half of them are fainter than the tables above, and have more of the false
alarms, as a redshift that is right looks odd more often there."""
"""What can be known of redshifts."""

GALAXIES = """\
All SEDs of a galaxy have one redshift. Where its blocks of bins are joined, their ratios are
summed, and all its bins flagged `odd_redshift` where the sum is below ln(1/20). The mean of 1/ratio
over SEDs of a redshift is one at most, so that, as far as the network's density is right and SEDs
are independent, no more than 5 % of galaxies whose redshift is right are there (Markov's
inequality), however faint and however many their SEDs are. An SED counts ln(1/20) at least: none
decides alone, and a star or a bad band is outweighed by good SEDs. SEDs without a posterior, and
those such as no mock of the training was, say nothing; those that are outliers count, as a wrong
redshift makes outliers. Galaxies of 20 redshifts, of other mocks, all but the last at S/N 2-30:"""
"""What SEDs of a galaxy tell together."""

AFTER_GALAXIES = """\
SEDs of real galaxies are neither all alike nor all different: where all are of one model, what it
has in common with models of another redshift is in each of them. Without the least value of an SED,
33 and 47 % of the Dirichlet galaxies with 5 and 20 SEDs would have been called odd of which a fifth
is spoilt; with a limit of 0 for the sum, a quarter of the galaxies that have SEDs of S/N below 1.
Good SEDs have a ratio of some 2 each. Of the three JADES galaxies of [npe-jades.md](npe-jades.md),
with 480 pixels each at a median S/N of 9, sums were 847 to 1,520 at the redshifts of the catalogue
and below -970 at those 0.5, 1 and 2 off either way, by a network's check for z = 1-7 from 2 million
mocks with the noise of these pixels; of sets of 5 pixels taken at random, all were odd at redshifts
1 off but for 3.3 % or less, and none at the right ones."""
"""What was found of galaxies."""

HISTORY = """\
What made the difference, as mean -ln density of delayed tau models held out: a million mocks learnt
from twelve times, 2.76; the redshift as harmonics of ln(1 + z) too, 2.53; fluxes over the scale
beside those over errors, which the systematic error saturates, 2.50; Muon instead of Adam, and 8
million mocks each learnt from once, for half as much CPU time again, 2.20; 32 million, 2.06. Before
all this, widths of the network alone were 1.16, 1.25 and 1.49 of the exact ones in the three bins,
for masses of delayed tau. Trainings take 3.4 GB, as a million mocks are in memory at a time."""
"""How networks came to be so sharp."""
