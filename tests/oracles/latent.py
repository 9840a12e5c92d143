"""Losses of latent variables: Kingma & Welling 2014."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import hyp1f1

from tests.oracles import oracle


@oracle("GaussianKLLoss", takes="latents")
def gaussian_kl(y_true: Any, y_pred: Any) -> np.ndarray:
    """Kingma & Welling 2013, appendix B; e^x - 1 - x is x^2 / 2 times Kummer's function of 1, 3 and x."""
    mean, log_variance = np.split(y_pred, 2, axis=-1)
    return 0.5 * (mean**2 + log_variance**2 / 2 * hyp1f1(1, 3, log_variance)).sum(-1)
