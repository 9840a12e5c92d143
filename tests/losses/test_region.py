"""What pixels, images and batches do to the losses of regions, and the defects of other libraries."""

import keras
import numpy as np
import pytest

import keras_losses
from keras_losses import (
    CrossentropyLoss,
    DiceLoss,
    FocalLoss,
    GeneralizedDiceLoss,
    KerasLoss,
    LossAwareModel,
    LovaszLoss,
)
from keras_losses.losses.regions import RegionLoss
from tests import thorough
from tests.backends import value, value_and_gradient

LOSSES = [
    loss
    for loss in (getattr(keras_losses, name) for name in keras_losses.__all__)
    if isinstance(loss, type) and issubclass(loss, RegionLoss)
]
every_region = pytest.mark.parametrize("loss", thorough.few(LOSSES, 4), ids=lambda loss: loss.__name__)
every_overlap = pytest.mark.parametrize(
    "loss",
    thorough.few([loss for loss in LOSSES if loss.card.family == "region"], 4),
    ids=lambda loss: loss.__name__,
)
"""Losses of regions that are no means over pixels."""

R = np.random.default_rng(0)
IDS = R.integers(0, 3, (2, 4, 5))
LOGITS = R.normal(0, 1, (2, 4, 5, 3)).astype("float32")
# The first pixel of the first image, and the last column of the second one.
GONE = np.zeros((2, 4, 5), bool)
GONE[0, 0, 0] = GONE[1, :, -1] = True


def of_images(loss, y_true, y_pred, weights=None, mask=None, **options):
    return value(loss(from_logits=True, reduction="none", **options), y_true, y_pred, weights, mask)


@every_region
def test_pixels_are_left_out_in_three_ways(loss):
    """A mask, weights of 0 and an ignored label give one value, whatever the pixels hold."""
    y_true, y_pred = np.where(GONE, 9, IDS), np.where(GONE[..., None], np.float32(np.nan), LOGITS)
    by_label = of_images(loss, y_true, y_pred, ignore_class=9)
    np.testing.assert_allclose(of_images(loss, y_true, y_pred, mask=~GONE), by_label, rtol=1e-6)
    weights = (~GONE).astype("float32")
    np.testing.assert_allclose(of_images(loss, y_true, y_pred, weights), by_label, rtol=1e-6)
    assert not np.allclose(by_label, of_images(loss, IDS, LOGITS))


@every_region
def test_weights_of_images_multiply_values(loss):
    """Weights `(batch,)` and `(batch, 1, 1)` multiply the values of images, and 0 takes an image out."""
    plain = of_images(loss, IDS, LOGITS)
    for weights in (np.array([3.0, 0.5], "float32"), np.array([3.0, 0.5], "float32")[:, None, None]):
        np.testing.assert_allclose(of_images(loss, IDS, LOGITS, weights), plain * [3.0, 0.5], rtol=1e-6)
    broken = LOGITS.copy()
    broken[1] = np.nan
    built = loss(from_logits=True)
    found, slope = value_and_gradient(built, IDS, broken, np.array([1.0, 0.0], "float32"))
    np.testing.assert_allclose(found, plain[0] / 2, rtol=1e-6)
    assert (slope[1] == 0).all()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("loss", [DiceLoss, GeneralizedDiceLoss])
def test_a_pixel_of_weight_two_counts_twice(loss):
    """Weights of pixels are counted in the sums: an image with a column of weight 2, and with it twice."""
    weights = np.ones((2, 4, 5), "float32")
    weights[:, :, 0] = 2
    twice = [np.concatenate([x, x[:, :, :1]], axis=2) for x in (IDS, LOGITS)]
    np.testing.assert_allclose(of_images(loss, IDS, LOGITS, weights), of_images(loss, *twice), rtol=1e-6)


def test_weights_of_pixels_by_hand():
    """Weights 1, 3 and 1 of three pixels: T = 4, P = 3, I = 2.5."""
    y_true, y_pred = np.array([[[1.0], [1.0], [0.0]]]), np.array([[[1.0], [0.5], [0.5]]], "float32")
    found = value(DiceLoss(smooth=0.0), y_true, y_pred, np.array([[1.0, 3.0, 1.0]], "float32"))
    np.testing.assert_allclose(found, 1 - 2 * 2.5 / (4 + 3), rtol=1e-6)


def test_weights_of_pixels_beside_ignored_labels_by_hand():
    """The first output has the pixels of weight 1 and 2, the second also the one of weight 3."""
    y_true = np.array([[[1.0, 0.0], [0.0, 1.0], [255.0, 1.0]]])
    y_pred = np.array([[[0.5, 0.5], [0.25, 0.5], [0.5, 0.75]]])
    loss = DiceLoss(smooth=0.0, multi_label=True, ignore_class=255)
    found = value(loss, y_true, y_pred, np.array([[1.0, 2.0, 3.0]], "float32"))
    # T = 1, P = 0.5 + 0.5, I = 0.5; T = 2 + 3, P = 0.5 + 1 + 2.25, I = 1 + 2.25.
    np.testing.assert_allclose(found, (1 - 1.0 / 2 + 1 - 6.5 / 8.75) / 2, rtol=1e-6)


@every_region
def test_empty_masks(loss):
    """Where nothing is labelled and nothing predicted the value is 0; each pixel that is predicted costs."""
    nothing = np.zeros((1, 6, 1), "float32")
    found, slope = value_and_gradient(loss(), nothing, nothing)
    np.testing.assert_allclose(found, 0, atol=1e-7)
    assert np.isfinite(slope).all()
    some = nothing.copy()
    some[0, 2] = 0.75
    found, slope = value_and_gradient(loss(), nothing, some)
    assert found > 0
    assert slope[0, 2] > 0
    assert np.isfinite(slope).all()


@every_overlap
def test_half_precision_on_a_large_image(loss):
    """512 x 512 pixels in float16, of which the sums are far above its largest number."""
    ids = np.zeros((1, 512, 512), "int32")
    ids[:, 100:300, 50:260] = 1
    logits = R.normal(0, 2, (1, 512, 512, 2)).astype("float16")
    found, slope = value_and_gradient(loss(from_logits=True), ids, logits)
    assert np.isfinite(found)
    assert np.isfinite(slope).all()
    exact = value(loss(from_logits=True), ids, logits.astype("float32"))
    np.testing.assert_allclose(found, exact, rtol=1e-6)


@every_region
def test_images_do_not_know_of_each_other(loss):
    """The value of an image is that of a batch with this image alone: no mean over the batch, unasked."""
    both = of_images(loss, IDS, LOGITS)
    alone = [of_images(loss, IDS[k : k + 1], LOGITS[k : k + 1])[0] for k in range(2)]
    np.testing.assert_allclose(both, alone, rtol=1e-6)
    np.testing.assert_allclose(both[0], of_images(loss, IDS[:1], LOGITS[:1], batch=True)[0], rtol=1e-6)


@every_region
def test_axis_of_the_classes(loss):
    """Channels first give the values of channels last."""
    first = np.moveaxis(LOGITS, -1, 1)
    found = of_images(loss, IDS, first, axis=1)
    np.testing.assert_allclose(found, of_images(loss, IDS, LOGITS), rtol=1e-6)


def test_against_keras():
    """The Dice loss of Keras, image by image, from one-hot masks and probabilities."""
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    hot = np.eye(3, dtype="float32")[IDS]
    # Keras has one region for all classes of an image; each class alone is one of ours.
    for k in range(3):
        theirs = keras.losses.Dice(axis=(1, 2, 3), reduction=None, dtype="float32")
        exact = np.asarray(keras.ops.convert_to_numpy(theirs(hot[..., k : k + 1], p[..., k : k + 1])))
        ours = value(DiceLoss(smooth=0.0, reduction="none"), hot[..., k : k + 1], p[..., k : k + 1])
        np.testing.assert_allclose(ours, exact, rtol=1e-5)


def test_a_sum_of_pixels_and_regions_trains(tmp_path):
    """`FocalLoss() + DiceLoss()`: both terms in the logs, with weights of pixels, saved with the model."""
    inputs = keras.Input((4, 5, 2))
    model = LossAwareModel(inputs, keras.layers.Conv2D(3, 1, activation="softmax")(inputs))
    model.compile("sgd", loss=FocalLoss() + 0.5 * DiceLoss(), jit_compile=False)
    x = R.normal(0, 1, (2, 4, 5, 2)).astype("float32")
    weights = (~GONE).astype("float32")
    history = model.fit(x, IDS, sample_weight=weights, verbose=0).history
    assert history["loss"][0] == pytest.approx(
        history["focal_loss"][0] + 0.5 * history["dice_loss"][0], rel=1e-5
    )
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    logs = again.evaluate(x, IDS, sample_weight=weights, verbose=0, return_dict=True)
    p = model.predict(x, verbose=0)
    assert logs["dice_loss"] == pytest.approx(float(value(DiceLoss(), IDS, p, weights)), rel=1e-5)
    assert logs["focal_loss"] == pytest.approx(float(value(FocalLoss(), IDS, p, weights)), rel=1e-5)


def test_around_a_region():
    """A wrapper keeps the meaning of weights of pixels."""
    weights = (~GONE).astype("float32")
    plain = value(DiceLoss(from_logits=True), IDS, LOGITS, weights)
    np.testing.assert_allclose(
        value(KerasLoss(DiceLoss(from_logits=True)), IDS, LOGITS, weights), plain, rtol=1e-6
    )


def test_weights_of_another_shape_are_refused():
    """Weights of pixels of another image size name both shapes."""
    with pytest.raises(ValueError, match=r"\(2, 5, 5\)"):
        DiceLoss(from_logits=True)(IDS, LOGITS, np.ones((2, 5, 5), "float32"))


def test_generalized_weights_do_not_vanish_beside_smooth():
    """On 512 x 512 pixels, 1 / T^2 is 1e-10: beside `smooth=1` a loss with such weights is 0 for any mask."""
    y_true = np.zeros((1, 512, 512), "int32")
    y_true[:, :256] = 1
    wrong = np.eye(2, dtype="float32")[1 - y_true]
    np.testing.assert_allclose(value(GeneralizedDiceLoss(), y_true, wrong), 1.0, rtol=1e-4)


@every_overlap
def test_one_pixel_of_another_class_matters(loss):
    """Cross-entropy of an image hardly sees an object of four pixels that is missed; a region does."""
    y_true = np.zeros((1, 32, 32), "int32")
    y_true[:, 4:6, 4:6] = 1
    missed = np.full((1, 32, 32, 2), [3.0, -3.0], "float32")
    found = value(loss(from_logits=True, include_background=False), y_true, missed)
    assert found > 10 * value(CrossentropyLoss(from_logits=True), y_true, missed).mean()


def test_lovasz_without_labelled_classes():
    """Where every pixel is left out no class is labelled: 0 and no gradient, where others have NaN."""
    loss = LovaszLoss(from_logits=True, ignore_class=9, reduction="none")
    y_true = np.stack([np.full((4, 5), 9), IDS[1]])
    found, slope = value_and_gradient(loss, y_true, LOGITS)
    assert found[0] == 0
    assert (slope[0] == 0).all()
    assert found[1] > 0


def test_lovasz_of_an_image_of_background():
    """Without the background no class is labelled: what is predicted of the others costs."""
    loss = LovaszLoss(include_background=False)
    found, slope = value_and_gradient(
        loss, np.array([[0, 0]]), np.array([[[0.2, 0.8], [1.0, 0.0]]], "float32")
    )
    np.testing.assert_allclose(found, 0.8, rtol=1e-6)
    np.testing.assert_allclose(slope, [[[0, 1], [0, 0]]])


def test_lovasz_keeps_its_digits_on_large_images():
    """Of 512 x 512 pixels in float32, against the formula in float64."""
    y_true = (R.random((1, 512, 512, 1)) < 0.1).astype("float32")
    logits = R.normal(0, 2, y_true.shape).astype("float32")
    t, errors = y_true.ravel(), np.maximum(1 - logits.ravel() * (2 * y_true.ravel() - 1), 0).astype("float64")
    order = np.argsort(-errors)
    truth = t[order].astype("float64")
    jaccard = 1 - (truth.sum() - truth.cumsum()) / (truth.sum() + (1 - truth).cumsum())
    exact = (errors[order] * np.diff(jaccard, prepend=0.0)).sum()
    np.testing.assert_allclose(value(LovaszLoss(from_logits=True), y_true, logits), exact, rtol=2e-6)
