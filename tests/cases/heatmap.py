"""Values by hand of the losses of heatmaps."""

from math import log

from keras_losses import HeatmapFocalLoss

# Two peaks and two neighbours in the first image, none in the second.
Y = [[[1.0], [0.5], [1.0], [0.0]], [[0.5], [0.0], [0.0], [0.0]]]
P = [[[0.5], [0.5], [0.25], [0.0]], [[0.5], [0.0], [0.0], [0.5]]]
PEAKS = 0.5**2 * log(2) + 0.75**2 * log(4)

BY_HAND = [
    (
        HeatmapFocalLoss,
        {},
        Y,
        P,
        [(PEAKS + 0.5**4 * 0.5**2 * log(2)) / 2, (0.5**4 + 1) * 0.5**2 * log(2)],
    ),
    (HeatmapFocalLoss, {"beta": 0.0}, Y, P, [(PEAKS + 0.5**2 * log(2)) / 2, 2 * 0.5**2 * log(2)]),
    (HeatmapFocalLoss, {"alpha": 0.0}, Y[:1], P[:1], [(log(2) + log(4) + 0.5**4 * log(2)) / 2]),
    (HeatmapFocalLoss, {"ignore_class": -1}, [[[1.0], [-1.0]]], [[[0.5], [0.5]]], [0.5**2 * log(2)]),
    (HeatmapFocalLoss, {"from_logits": True}, [[[1.0], [0.0]]], [[[-1e4], [-1e4]]], [1e4]),
]
