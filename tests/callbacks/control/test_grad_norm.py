"""GradNorm finds the weights at which the gradients of all tasks have one size, whatever the tasks' units."""

import keras
import numpy as np
import pytest

from keras_losses import SquaredErrorLoss
from keras_losses.callbacks import GradNorm

# XLA compiles for longer than the steps take without it; JAX has no other compiler.
TRACED = {"jit_compile": keras.backend.backend() == "jax"}
R = np.random.default_rng(0)
X = R.normal(0, 1, (32, 3)).astype("float32")
Y = R.normal(0, 1, (32, 1)).astype("float32")


@pytest.mark.parametrize("unit", [pytest.param(1.0, marks=pytest.mark.thorough), 1e4])
def test_gradients_become_equally_large(unit):
    """Of a model that stands still: the weights go to where they should be, and stay there."""
    keras.utils.set_random_seed(0)
    x = keras.Input((3,))
    shared = keras.layers.Dense(2, name="shared")
    hidden = shared(x)
    heads = {name: keras.layers.Dense(1, name=name) for name in ("a", "b")}
    model = keras.Model(x, {name: head(hidden) for name, head in heads.items()})
    model.compile(
        keras.optimizers.SGD(0.0), loss={name: 1.0 * SquaredErrorLoss() for name in heads}, **TRACED
    )
    targets = {"a": Y, "b": unit * Y[::-1]}
    history = model.fit(
        np.tile(X, (600, 1)),
        {name: np.tile(y, (600, 1)) for name, y in targets.items()},
        batch_size=32,
        shuffle=False,
        callbacks=[GradNorm("shared", 0.0, 0.02)],
        verbose=0,
    ).history

    sizes = {}
    with_ones = np.concatenate([X, np.ones((32, 1))], axis=1)
    codes = X @ keras.ops.convert_to_numpy(shared.kernel)
    for name, head in heads.items():
        kernel = keras.ops.convert_to_numpy(head.kernel)
        slopes = 2 / 32 * (codes @ kernel - targets[name]) @ kernel.T
        sizes[name] = history[f"{name}/weights/squared_error_loss"][-1] * np.linalg.norm(with_ones.T @ slopes)
    np.testing.assert_allclose(sizes["a"], sizes["b"], rtol=0.1)
