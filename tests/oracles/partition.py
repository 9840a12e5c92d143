"""The density exp(-rho(r / scale)) / (scale Z(alpha)) of Barron 2019, section 3, by quadrature alone.

With r = sqrt(b) sinh v, b = 2 - alpha, the integrand is exp(-b / alpha (cosh^alpha v - 1)) sqrt(b) cosh v.
For every alpha it is analytic where |Im v| < pi / 4, and falls like e^-v or faster, a Cauchy distribution's
tails included: for such a one the trapezoidal rule is exact to the last digits. `integral` does without all
that, and `series` without quadrature.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import boxcox1p, rgamma
from scipy.special import gamma as gamma_function


def log_partition(alpha: Any) -> np.ndarray:
    """log Z for every alpha in [0, 2]."""
    alpha = np.asarray(alpha, "float64")
    squared = alpha == 2
    v = np.arange(0, 48, 1 / 16)
    density = _density(v, np.where(squared, 1.0, alpha)[..., None])
    integral = (2 * density.sum(-1) - density[..., 0]) / 16
    return np.where(squared, 0.5 * np.log(2 * np.pi), np.log(integral))


def _density(v: np.ndarray, alpha: Any) -> np.ndarray:
    """Of v, without 1 / Z, for alpha < 2."""
    b, log_cosh = 2 - alpha, np.logaddexp(v, -v) - np.log(2)
    # boxcox1p(x, 0) is log(1 + x), so with 1 + x = cosh^2 v there is no case for alpha = 0.
    return np.exp(log_cosh - b / 2 * boxcox1p(np.sinh(v) ** 2, alpha / 2)) * np.sqrt(b)


def integral(alpha: float) -> float:
    """Z over the residuals themselves, by an adaptive rule, for alpha in (0, 2)."""
    parts = [(0.0, 1.0), (1.0, 10.0), (10.0, np.inf)]
    rules = [
        quad(lambda r: np.exp(-_rho(r, alpha)), *part, epsabs=0, epsrel=1e-11, limit=500) for part in parts
    ]
    return 2 * sum(rule[0] for rule in rules)


def series(alpha: float, terms: int = 40) -> float:
    """Z by residues, for alpha from 1 up to 2 but for those fractions at which two poles of Gamma meet.

    With a = alpha / 2 and w = (1 - a) / a it is sqrt(b) e^w times the integral of exp(-w (1 + t^2)^a), whose
    Mellin transform in w is sqrt(pi) Gamma(s) Gamma(a s - 1/2) / Gamma(a s).
    """
    a, k = alpha / 2, np.arange(terms)
    w, sign = (1 - a) / a, (-1.0) ** k * rgamma(k + 1)
    s = (k - 0.5) / a
    of_both = sign * gamma_function(-s) * rgamma(0.5 - k) * w**s / a
    of_gamma = sign * gamma_function(-a * k - 0.5) * rgamma(-a * k) * w**k
    return float(np.sqrt((2 - alpha) * np.pi) * np.exp(w) * (of_both.sum() + of_gamma[1:].sum()))


# What an adaptive loss must come to, without samples --------------------------------------------------------


def negative_log_likelihood(r: Any, alpha: Any, scale: Any) -> np.ndarray:
    """-log p(r), for alpha in [0, 2]."""
    return _rho(np.asarray(r) / scale, alpha) + np.log(scale) + log_partition(alpha)


def quantiles(count: int, alpha: float, scale: float) -> np.ndarray:
    """Residuals that are distributed as the density is, for alpha in [0, 2): those at (i + 1/2) / count."""
    v = np.arange(-48, 48, 1 / 1024)
    density = _density(v, alpha)
    below = np.cumsum(density) - density / 2
    at = np.interp((np.arange(count) + 0.5) / count, below / density.sum(), v)
    return scale * np.sqrt(2 - alpha) * np.sinh(at)


def most_likely(residuals: np.ndarray) -> tuple[float, float]:
    """The alpha in [0, 2] and the scale under which the residuals are the most likely."""

    def mean(of: np.ndarray) -> float:
        return float(negative_log_likelihood(residuals, of[0], np.exp(of[1])).mean())

    options = {"xatol": 1e-7, "fatol": 1e-12}
    start = [1.0, np.log(np.median(np.abs(residuals)))]
    found = minimize(mean, start, method="Nelder-Mead", bounds=[(0, 2), (None, None)], options=options).x
    return float(found[0]), float(np.exp(found[1]))


def _rho(x: Any, alpha: Any) -> np.ndarray:
    """Barron 2019, equation 8, for alpha in [0, 2]; its limit at 2 is x^2 / 2."""
    b = np.where(np.equal(alpha, 2), 1.0, 2.0 - alpha)
    return np.where(np.equal(alpha, 2), np.square(x) / 2, b / 2 * boxcox1p(np.square(x) / b, alpha / 2))
