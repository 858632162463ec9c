"""The mean over mass of a likelihood over that at the best amplitude, by definition."""

import math

import numpy as np
from scipy.stats import norm, t


def ln_over_mass(flux, error, model, scale, scale_err, weight, *, dof=math.inf, limited=0):
    """Of an SED whose first `limited` bands are upper limits, of models (n_model, n_band).

    Gaussian detections: of the usual relative error. Others: of the best model, times the ratio of
    relative errors.
    """
    usable = weight > 0
    share = weight[usable] / weight[usable].sum()
    relative = scale_err[usable] / scale[usable]
    # the usual error is that of the mean distance of the amplitude's outer nodes
    mean = (10 ** (share @ np.log10(1 + 0.98 * relative)) - 1) / 0.98
    best = np.argmax(weight)
    # even in log10 of mass, three dex to both sides
    x = 10.0 ** np.linspace(-3, 3, 400_001)
    if math.isinf(dof) and not limited:
        ln_like = -0.5 * ((x - 1) / mean) ** 2
        return math.log(np.trapezoid(np.exp(ln_like), np.log10(x)) / 6)
    density = norm() if math.isinf(dof) else t(dof)
    ln_like = np.zeros(x.size)
    for k in range(flux.size):
        apart = (flux[k] - x * scale[best] * model[best, k]) / error[k]
        at_one = (flux[k] - scale[best] * model[best, k]) / error[k]
        form = norm.logcdf if k < limited else density.logpdf
        ln_like += form(apart) - form(at_one)
    part = math.log(np.trapezoid(np.exp(ln_like), np.log10(x)) / 6)
    return part + math.log(mean * scale[best] / scale_err[best])
