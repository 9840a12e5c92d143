"""Losses of regions: one value for each image, from the overlap of labelled and predicted regions."""

from __future__ import annotations

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, Identity, Labels, Predictions, flag, parameter, wanted_values
from keras_losses.core.validity import fuses_elementwise, nan_unless
from keras_losses.losses.regions import RegionLoss, Regions, root_of_share, share_of_errors
from keras_losses.numerics import Tensor

CONDITIONING = "with softmax outputs, a value is exact to 1e-7, not to its own digits"


class DiceLoss(RegionLoss):
    """Dice loss, for masks whose overlap counts and whose objects are small beside the background.

        loss = mean over classes of 1 - (2 I + smooth) / (T + P + smooth)

    T, P and I are the sizes of the labelled region, the predicted region and their intersection. The loss
    depends on the relative overlap, so a small object counts as much as a large one. A class that is neither
    labelled nor predicted has the value 0. `FocalLoss() + DiceLoss()` is a common sum: the first term learns
    from each pixel, the second from each object.

    `keras.losses.Dice` takes the mean over the whole batch by default and has no class ids, logits or masks.

    Args:
        smooth: number of pixels added to both sides of the ratio, in [0, inf).
        squared: whether the sizes in the denominator are sums of t^2 and p^2, as in V-Net.

    Other arguments: see `keras_losses.losses.regions.RegionLoss`.

    Shapes: `y_pred` `(batch, *space, C)`; `y_true` class ids `(batch, *space)` or `(batch, *space, 1)`,
    one-hot or soft masks `(batch, *space, C)`; 0/1 masks of the shape of `y_pred` with `multi_label=True` or
    one output. With `reduction="none"` the result is `(batch,)`.

    Raises:
        ValueError: For an argument outside its range, shapes that do not match and, in eager mode, invalid
            labels or probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import DiceLoss
    >>> y_true = np.array([[[1.0], [1.0], [0.0]]])  # one image of three pixels, one output
    >>> y_pred = np.array([[[1.0], [0.5], [0.5]]])
    >>> float(DiceLoss(smooth=0)(y_true, y_pred))  # 1 - 2 * 1.5 / (2 + 2)
    0.25

    References:
        - Milletari et al. 2016, V-Net, https://arxiv.org/abs/1606.04797
        - Sudre et al. 2017, Generalised Dice overlap, https://arxiv.org/abs/1707.03237
    """

    card = Card(
        family="region",
        formula="1 - (2 I + smooth) / (T + P + smooth), mean over classes",
        paper="Milletari 2016",
        labels="class ids, one-hot, soft or 0/1 masks",
        predictions="logits or probabilities",
        use="segmentation that is scored by overlap; small objects, beside a loss of pixels",
        avoid="probabilities that must be calibrated; many images without the class",
        elicits="overlapping region",
        gradient_bound="2 / (T + smooth) in a probability",
        identities=(
            Identity(
                {"squared": False, "smooth": 1.0}, "TverskyLoss", {"alpha": 0.5, "beta": 0.5, "smooth": 0.5}
            ),
        ),
        conditioning=CONDITIONING,
    )

    smooth: float = parameter(default=1.0, within="[0, inf)")
    squared: bool = flag(default=False)

    def of_classes(self, regions: Regions) -> Tensor:
        wrong = regions.sum(ops.square(regions.t - regions.p)) if self.squared else regions.errors
        return share_of_errors(wrong, 2.0 * regions.intersection + self.smooth)


class JaccardLoss(RegionLoss):
    """Jaccard loss, for masks that are scored by intersection over union (IoU).

        loss = mean over classes of 1 - (I + smooth) / (T + P - I + smooth)

    It orders predictions as `DiceLoss` does, and counts poor overlaps more. `LovaszLoss` is the other
    extension of the same score to probabilities.

    Args:
        smooth: number of pixels added to both sides of the ratio, in [0, inf).

    Other arguments, shapes and errors: see `keras_losses.losses.regions.RegionLoss` and
    `keras_losses.DiceLoss`.

    Example:

    >>> import numpy as np
    >>> from keras_losses import JaccardLoss
    >>> y_true = np.array([[[1.0], [1.0], [0.0]]])
    >>> y_pred = np.array([[[1.0], [0.5], [0.5]]])
    >>> round(float(JaccardLoss(smooth=0)(y_true, y_pred)), 4)  # 1 - 1.5 / (2 + 2 - 1.5)
    0.4

    References:
        - Rahman & Wang 2016, Optimizing intersection-over-union in deep neural networks for image
          segmentation, https://doi.org/10.1007/978-3-319-50835-1_22
    """

    card = Card(
        family="region",
        formula="1 - (I + smooth) / (T + P - I + smooth), mean over classes",
        paper="Rahman & Wang 2016",
        labels="class ids, one-hot, soft or 0/1 masks",
        predictions="logits or probabilities",
        use="segmentation that is scored by intersection over union",
        avoid="probabilities that must be calibrated; many images without the class",
        elicits="overlapping region",
        gradient_bound="1 / (T + smooth) in the probability of a labelled pixel",
        identities=(Identity({"smooth": 1.0}, "TverskyLoss", {"alpha": 1.0, "beta": 1.0}),),
        conditioning=CONDITIONING,
    )

    smooth: float = parameter(default=1.0, within="[0, inf)")

    def of_classes(self, regions: Regions) -> Tensor:
        return share_of_errors(regions.errors, regions.intersection + self.smooth)


class TverskyLoss(RegionLoss):
    """Tversky loss, for masks in which missed pixels and false ones have different costs.

        loss = mean over classes of 1 - (I + smooth) / (I + alpha FP + beta FN + smooth)

    FP = P - I are the false positives, FN = T - I the false negatives. With beta above alpha, the loss
    prefers to find all of an object. alpha = beta = 1/2 is the Dice loss, alpha = beta = 1 the Jaccard loss.

    `keras.losses.Tversky` also has alpha for false positives and beta for false negatives, with the defaults
    1/2, and takes the mean over the whole batch by default.

    Args:
        alpha: weight of false positives, in [0, inf).
        beta: weight of false negatives, in [0, inf).
        smooth: number of pixels added to both sides of the ratio, in [0, inf).

    Other arguments, shapes and errors: see `keras_losses.losses.regions.RegionLoss` and
    `keras_losses.DiceLoss`.

    Example:

    >>> import numpy as np
    >>> from keras_losses import TverskyLoss
    >>> y_true = np.array([[[1.0], [1.0], [0.0]]])
    >>> y_pred = np.array([[[1.0], [0.0], [0.0]]])
    >>> round(float(TverskyLoss(smooth=0)(y_true, y_pred)), 4)  # 1 - 1 / (1 + 0.7 * 1)
    0.4118

    References:
        - Salehi et al. 2017, Tversky loss function for image segmentation using 3D fully convolutional deep
          networks, https://arxiv.org/abs/1706.05721
    """

    card = Card(
        family="region",
        formula="1 - (I + smooth) / (I + alpha FP + beta FN + smooth), mean over classes",
        paper="Salehi 2017, 1706.05721",
        labels="class ids, one-hot, soft or 0/1 masks",
        predictions="logits or probabilities",
        use="segmentation in which missed pixels cost more than false ones, or less",
        avoid="probabilities that must be calibrated; many images without the class",
        elicits="overlapping region",
        gradient_bound="max(1, alpha, beta) / (min(1, beta) T + smooth) in a probability",
        identities=(Identity({"alpha": 1.0, "beta": 1.0, "smooth": 1.0}, "JaccardLoss"),),
        conditioning=CONDITIONING,
    )

    alpha: float = parameter(default=0.3, within="[0, inf)", live=True)
    beta: float = parameter(default=0.7, within="[0, inf)", live=True)
    smooth: float = parameter(default=1.0, within="[0, inf)")

    def of_classes(self, regions: Regions) -> Tensor:
        wrong = self.alpha * regions.false_positives + self.beta * regions.false_negatives
        return share_of_errors(wrong, regions.intersection + self.smooth)


class FocalTverskyLoss(RegionLoss):
    """Focal Tversky loss, for small objects that an overlap of the whole image hardly shows.

        loss = mean over classes of (Tversky loss of the class)^(1 / gamma)

    With gamma above 1, a class of large overlap still has a large gradient; with gamma below 1, classes of
    poor overlap count most. gamma = 1 is the Tversky loss. For gamma above 1 the slope is infinite at perfect
    overlap; there the gradient is 0.

    Args:
        alpha: weight of false positives, in [0, inf).
        beta: weight of false negatives, in [0, inf).
        gamma: root of each class's loss, in (0, 5]; the paper uses 1 to 3. Higher roots are flat but near 0.
        smooth: number of pixels added to both sides of the ratio, in [0, inf).

    Other arguments, shapes and errors: see `keras_losses.losses.regions.RegionLoss` and
    `keras_losses.DiceLoss`.

    Example:

    >>> import numpy as np
    >>> from keras_losses import FocalTverskyLoss
    >>> y_true = np.array([[[1.0], [1.0], [0.0]]])
    >>> y_pred = np.array([[[1.0], [0.0], [0.0]]])
    >>> round(float(FocalTverskyLoss(smooth=0)(y_true, y_pred)), 4)  # (1 - 1 / 1.7)^(3/4)
    0.514

    References:
        - Abraham & Khan 2018, A novel focal Tversky loss function with improved attention U-Net for lesion
          segmentation, https://arxiv.org/abs/1810.07842
    """

    card = Card(
        family="region",
        formula="(1 - (I + smooth) / (I + alpha FP + beta FN + smooth))^(1/gamma), mean over classes",
        paper="Abraham & Khan 2018, 1810.07842",
        labels="class ids, one-hot, soft or 0/1 masks",
        predictions="logits or probabilities",
        use="segmentation of small objects that are found only in part",
        avoid="probabilities that must be calibrated; images whose masks are perfect already",
        elicits="overlapping region",
        gradient_bound="unbounded for gamma > 1, at perfect overlap",
        identities=(Identity({"gamma": 1.0}, "TverskyLoss"),),
        conditioning=CONDITIONING + "; a root of it has fewer digits",
        cost="1 - p of every class, accurate where p is near 1, and sums of both kinds of errors",
    )

    alpha: float = parameter(default=0.3, within="[0, inf)", live=True)
    beta: float = parameter(default=0.7, within="[0, inf)", live=True)
    gamma: float = parameter(default=4 / 3, within="(0, 5]", live=True)
    smooth: float = parameter(default=1.0, within="[0, inf)")

    def of_classes(self, regions: Regions) -> Tensor:
        # A root magnifies rounding errors.
        false_positives, false_negatives = regions.exact_errors()
        wrong = self.alpha * false_positives + self.beta * false_negatives
        value = share_of_errors(wrong, regions.intersection + self.smooth)
        return root_of_share(value, 1.0 / self.gamma, None if self.from_logits else regions.gap)


class GeneralizedDiceLoss(RegionLoss):
    """Generalized Dice loss, for several classes of very different sizes in one ratio.

        loss = 1 - (2 sum_c w_c I_c + smooth) / (sum_c w_c (T_c + P_c) + smooth),    w_c = (min T / T_c)^2

    The minimum is over the classes that are present; an absent class has the weight 1, that of the smallest.
    The paper writes w_c = 1 / T_c^2, which is the same but for `smooth`: beside weights of 1e-10, as in an
    image of 512 x 512 pixels, `smooth` would be all of the ratio. Here it counts pixels of the smallest
    class. `DiceLoss` has one ratio for each class instead, whose mean is taken.

    Args:
        smooth: number of pixels of the smallest class added to both sides of the ratio, in [0, inf).

    Other arguments, shapes and errors: see `keras_losses.losses.regions.RegionLoss` and
    `keras_losses.DiceLoss`. `class_weight` multiplies w_c.

    Example:

    >>> import numpy as np
    >>> from keras_losses import GeneralizedDiceLoss
    >>> y_true = np.array([[0, 0, 0, 1]])
    >>> y_pred = np.array([[[1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]])
    >>> # w = 1/9 and 1: 1 - 2 (2.5 / 9 + 1) / (5.5 / 9 + 2.5)
    >>> round(float(GeneralizedDiceLoss(smooth=0)(y_true, y_pred)), 4)
    0.1786

    References:
        - Sudre et al. 2017, Generalised Dice overlap as a deep learning loss function for highly unbalanced
          segmentations, https://arxiv.org/abs/1707.03237
    """

    card = Card(
        family="region",
        formula="1 - (2 sum w_c I_c + smooth) / (sum w_c (T_c + P_c) + smooth), w_c = (min T / T_c)^2",
        paper="Sudre 2017, 1707.03237",
        labels="class ids, one-hot, soft or 0/1 masks",
        predictions="logits or probabilities",
        use="several classes whose sizes differ by orders of magnitude",
        avoid="the smallest class has a few pixels of noise: it then decides the loss",
        elicits="overlapping region",
        gradient_bound="2 / (min T + smooth) in a probability",
        conditioning=CONDITIONING,
    )

    smooth: float = parameter(default=1.0, within="[0, inf)")

    def of_images(self, regions: Regions) -> Tensor:
        t = regions.labelled
        present = t > 0
        inverse = ops.where(present, 1.0 / ops.where(present, t, ops.ones_like(t)), ops.zeros_like(t))
        largest = ops.expand_dims(numerics.max_last(inverse), -1)
        weights = ops.where(present, ops.square(numerics.divide_no_nan(inverse, largest)), ops.ones_like(t))
        weights = regions.weighted(weights)
        wrong = ops.sum(weights * regions.errors, axis=-1)
        right = 2.0 * ops.sum(weights * regions.intersection, axis=-1) + self.smooth
        return share_of_errors(wrong, right)


class MatthewsLoss(RegionLoss):
    """Matthews loss, for masks in which the background counts as the objects do.

        loss = mean over classes of 1 - (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN))

    The counts are sums of probabilities: TP = I + smooth, FP = P - I, FN = T - I, TN = N - T - P + I + smooth
    of N pixels. The value is 0 for a perfect mask, 1 for a mask that has nothing to do with the labels, and 2
    for the complement. `DiceLoss` does not see true negatives.

    Args:
        smooth: number of pixels, predicted right, that are added to the class and to its complement, in
            (0, inf). The paper has none: its correlation of an empty mask is 0 / 0.

    Other arguments, shapes and errors: see `keras_losses.losses.regions.RegionLoss` and
    `keras_losses.DiceLoss`.

    Example:

    >>> import numpy as np
    >>> from keras_losses import MatthewsLoss
    >>> y_true = np.array([[[1.0], [1.0], [0.0], [0.0]]])
    >>> y_pred = np.array([[[1.0], [0.0], [0.0], [0.0]]])
    >>> # TP = 2, TN = 3, FP = 0, FN = 1: 1 - 6 / sqrt(2 * 3 * 3 * 4)
    >>> round(float(MatthewsLoss()(y_true, y_pred)), 4)
    0.2929

    References:
        - Abhishek & Hamarneh 2020, Matthews correlation coefficient loss for deep convolutional networks:
          application to skin lesion segmentation, https://arxiv.org/abs/2010.13454
    """

    card = Card(
        family="region",
        formula="1 - (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN)), mean over classes",
        paper="Abhishek & Hamarneh 2020, 2010.13454",
        labels="class ids, one-hot, soft or 0/1 masks",
        predictions="logits or probabilities",
        use="segmentation in which true negatives count too",
        avoid="background without end: the value then depends on the crop",
        elicits="likeliest class",
        elicits_note="of a constant; a mask holds the pixels in which the class is likely enough",
        gradient_bound="2 / smooth in a probability",
        conditioning="values near 0 are exact to 1e-7, not to their own digits",
    )

    smooth: float = parameter(default=1.0, within="(0, inf)")

    def of_classes(self, regions: Regions) -> Tensor:
        t, p = regions.labelled, regions.predicted
        pixels = regions.sum(ops.ones_like(regions.t))
        total = pixels + 2.0 * self.smooth
        labelled, unlabelled = (t + self.smooth) / total, (pixels - t + self.smooth) / total
        predicted, unpredicted = (p + self.smooth) / total, (pixels - p + self.smooth) / total
        # (TP TN - FP FN) / total^2, from differences that are smaller than the products.
        centred = regions.t - regions.spread((t + self.smooth) / total)
        both = (regions.sum(regions.marked(centred * regions.p)) + self.smooth * unlabelled) / total
        return 1.0 - both * ops.rsqrt(labelled * unlabelled * predicted * unpredicted)


class LovaszLoss(RegionLoss):
    """Lovasz losses, whose minimum over masks is that of the Jaccard loss, for masks scored by IoU.

        loss = mean over classes of sum_i e_(i) (J_i - J_(i-1))

    e_(1) >= e_(2) >= ... are the errors of the pixels in descending order, and J_i is the Jaccard loss of the
    mask in which the first i pixels are wrong. So the loss interpolates the Jaccard loss between masks. The
    errors are

    - |t - p| for classes that exclude one another (Lovasz-softmax);
    - max(0, 1 - z (2 t - 1)) for an output with the logit z (Lovasz hinge).

    `JaccardLoss` has a value for probabilities, too, but its gradient does not depend on which pixels are the
    worst. The labels must be hard: class ids, one-hot rows or 0 and 1.

    Args:
        classes: which classes that exclude one another count, `"present"` for those that are labelled in the
            image (the paper's choice; all if none of them is), or `"all"`. Outputs that are separate
            probabilities always count.

    Other arguments: see `keras_losses.losses.regions.RegionLoss`. A pixel of weight 2 is two equal pixels.

    Shapes and errors: see `keras_losses.DiceLoss`; in eager mode soft labels raise a `ValueError`.

    Example:

    >>> import numpy as np
    >>> from keras_losses import LovaszLoss
    >>> y_true, y_pred = np.array([[0, 0, 1]]), np.array([[[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]])
    >>> # the second pixel is half wrong: 0.5 (1 - 1/2) for the class 0, 0.5 (1 - 1/2) for the class 1
    >>> float(LovaszLoss()(y_true, y_pred))
    0.25

    References:
        - Berman, Rannen Triki & Blaschko 2018, The Lovasz-Softmax loss, https://arxiv.org/abs/1705.08790
    """

    card = Card(
        family="region",
        formula="sum_i e_(i) (J_i - J_(i-1)), mean over classes; e_(i) sorted errors, J_i Jaccard losses",
        paper="Berman 2018, 1705.08790",
        labels="class ids, one-hot or 0/1 masks",
        predictions="logits or probabilities",
        use="fine-tuning a segmentation that is scored by intersection over union",
        avoid="training from scratch, where a loss of pixels is faster; soft labels",
        elicits="overlapping region",
        gradient_bound="1 in a probability or logit",
        cost="sorting the pixels of each class",
    )

    classes: str = parameter(default="present", choices=("present", "all"))

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        super().check(y_true, y_pred, wanted)
        labels = wanted_values(y_true.received, wanted)
        soft = labels[~np.isin(labels, (0, 1))] if y_true.encoding != "sparse" else labels[:0]
        if self.ignore_class is not None:
            soft = soft[soft != self.ignore_class]
        if soft.size:
            raise ValueError(
                f"`LovaszLoss`: `y_true` must hold hard labels. Received: {soft[0]:g}. Use JaccardLoss for "
                "soft labels, or their argmax."
            )

    def of_images(self, regions: Regions) -> Tensor:
        t = regions.t
        if regions.exclusive:
            errors = numerics.absolute(t - regions.p)
        else:
            errors = numerics.maximum(1.0 - regions.log_odds() * (2.0 * t - 1.0), 0.0)
        errors = regions.marked(errors)
        if fuses_elementwise(t) and regions.received:
            errors = errors + nan_unless(ops.equal(t * (1.0 - t), 0), ops.zeros_like(t))
        sides = 2.0 * t - 1.0
        if regions.weights is not None:
            sides = sides * regions.weights
        values, present = _lovasz(regions.rows(errors), regions.rows(sides))
        if self.classes == "all" or not regions.exclusive:
            return regions.mean_of_classes(values)
        # In an image without any of the classes, each of them counts, so that what is predicted costs.
        none = ops.logical_not(ops.any(present, axis=-1, keepdims=True))
        counts = ops.cast(ops.logical_or(present, none), values.dtype)
        values = regions.weighted(values)
        return numerics.divide_no_nan(ops.sum(values * counts, axis=-1), ops.sum(counts, axis=-1))


def _lovasz(errors: Tensor, sides: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Lovasz extension of the Jaccard loss `(batch, C)`, and whether the class is labelled.

    Args:
        errors: the errors of pixels, `(batch, C, pixels)`.
        sides: their weights, positive if they are labelled as the class and negative if they are not.
    """
    errors, order = ops.top_k(errors, ops.shape(errors)[-1])
    sides = ops.take_along_axis(sides, order, axis=-1)
    inside, outside = numerics.maximum(sides, 0.0), numerics.maximum(-sides, 0.0)
    total = ops.sum(inside, axis=-1, keepdims=True)
    # The union of the labels and the pixels so far, and the labelled pixels that are still right.
    union = total + numerics.running_sum(outside)
    union_before = ops.concatenate([total, union[..., :-1]], axis=-1)
    right = numerics.maximum(total - numerics.running_sum(inside), 0.0)
    # J_i - J_(i-1) as products of ratios, because differences of numbers near 1 lose digits. Without labels,
    # the first wrong pixel makes the whole loss.
    ones = ops.ones_like(union)
    is_first = union_before <= 0
    kept = ops.where(is_first, ones, right / ops.where(is_first, ones, union_before))
    steps = (inside + outside * kept) / ops.where(union <= 0, ones, union)
    # NaN, which stands for an invalid label, is present too.
    return ops.sum(errors * steps, axis=-1), ops.logical_not(total[..., 0] <= 0)
