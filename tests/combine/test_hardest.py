"""The largest values of a loss: weights, masks, images, batches, and which gradients are left."""

import keras
import numpy as np
import pytest

from keras_losses import AbsoluteErrorLoss, CrossentropyLoss, DiceLoss, HardestLoss, LossAwareModel
from tests.backends import value, value_and_gradient

SIZES = AbsoluteErrorLoss()
# Two images of four pixels, with the values 1, 2, 6, 3 and 4, 8, 0, 5.
ZEROS = np.zeros((2, 4, 1), "float32")
PIXELS = np.array([[1, 2, 6, 3], [4, 8, 0, 5]], "float32")[..., None]


def of_images(y_pred, weights=None, mask=None, **options):
    return value(
        HardestLoss(SIZES, **{"share": 0.5, **options}, reduction="none"), ZEROS, y_pred, weights, mask
    )


def test_masked_pixels_do_not_count():
    """Without the 6, half of three pixels are the 3 and half of the 2; NaN there does not come through."""
    mask = np.array([[True, True, False, True], [True] * 4])
    broken = np.where(mask[..., None], PIXELS, np.float32(np.nan))
    np.testing.assert_allclose(of_images(broken, mask=mask), [(3 + 2 / 2) / 1.5, (8 + 5) / 2])
    np.testing.assert_allclose(of_images(broken, mask.astype("float32")), [(3 + 2 / 2) / 1.5, (8 + 5) / 2])


def test_a_pixel_of_weight_two_is_two_pixels():
    """With weight 2 of the 3, half of the five weights are the 6 and one and a half of the 3."""
    weights = np.array([[1, 1, 1, 2], [1, 1, 1, 1]], "float32")
    np.testing.assert_allclose(of_images(PIXELS, weights), [(6 + 1.5 * 3) / 2.5, (8 + 5) / 2])


def test_weights_of_images_multiply_values():
    found = of_images(PIXELS, np.array([3.0, 0.0], "float32"))
    np.testing.assert_allclose(found, [3 * (6 + 3) / 2, 0.0])


def test_the_batch_competes():
    """Half of the eight pixels are 8, 6, 5 and 4, wherever they are; the mean over all is their mean."""
    np.testing.assert_allclose(of_images(PIXELS, batch=True), np.array([[0, 0, 6, 0], [4, 8, 0, 5]]) / 0.5)
    found = value(HardestLoss(SIZES, share=0.5, batch=True), ZEROS, PIXELS)
    np.testing.assert_allclose(found, (8 + 6 + 5 + 4) / 4)


def test_gradients_of_the_others_are_zero():
    found, slope = value_and_gradient(HardestLoss(SIZES, share=0.5), ZEROS, PIXELS)
    np.testing.assert_allclose(found, ((6 + 3) / 2 + (8 + 5) / 2) / 2)
    np.testing.assert_allclose(slope[..., 0], [[0, 0, 0.25, 0.25], [0, 0.25, 0, 0.25]])


def test_hardest_images():
    """A loss with one value for each image competes over the batch: here the image with the worse mask."""
    y_true = np.ones((2, 4, 1), "float32")
    y_pred = np.array([[1, 1, 1, 0.5], [0.5, 0, 0, 0]], "float32")[..., None]
    dice = value(DiceLoss(reduction="none"), y_true, y_pred)
    found = value(HardestLoss(DiceLoss(), share=0.5), y_true, y_pred)
    np.testing.assert_allclose(found, dice[1], rtol=1e-6)


def test_genuine_nan_stays_visible():
    broken = PIXELS.copy()
    broken[0, 1] = np.nan
    found = of_images(broken)
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[1], (8 + 5) / 2)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_large_image(weighted):
    """A quarter of 512 x 512 pixels, against NumPy in float64."""
    random = np.random.default_rng(0)
    x = random.normal(0, 1, (1, 512, 512, 1)).astype("float32")
    weights = random.uniform(0.5, 2, x.shape[:-1]).astype("float32") if weighted else np.ones(x.shape[:-1])
    values, masses = np.abs(x.astype("float64")).ravel(), weights.astype("float64").ravel()
    order = np.argsort(-values)
    wanted = masses.sum() / 4
    taken = np.clip(wanted - (masses[order].cumsum() - masses[order]), 0, masses[order])
    exact = (taken * values[order]).sum() / wanted
    found = value(HardestLoss(SIZES), np.zeros_like(x), x, weights.astype("float32") if weighted else None)
    np.testing.assert_allclose(found, exact, rtol=1e-5)


def test_trains_in_a_sum_and_is_saved(tmp_path):
    inputs = keras.Input((4, 2))
    model = LossAwareModel(inputs, keras.layers.Dense(3, activation="softmax")(inputs))
    model.compile("sgd", loss=HardestLoss(CrossentropyLoss(), share=0.5) + DiceLoss(), jit_compile=False)
    x, y = np.random.default_rng(0).normal(0, 1, (4, 4, 2)).astype("float32"), np.array([[0, 1, 2, 1]] * 4)
    assert {"hardest_loss", "dice_loss"} <= model.fit(x, y, verbose=0).history.keys()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(*(m.evaluate(x, y, verbose=0)[0] for m in (model, again)), rtol=1e-6)
