"""Penalties that ask the model itself: for its slopes in the inputs, or for another answer.

They are terms of a `LossAwareModel`'s loss: `CrossentropyLoss() + 0.1 * JacobianPenalty()`. Their values come
from the inputs of the step, so they have no card: a card is about labels and predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
from keras import ops

from keras_losses import numerics
from keras_losses.combine.around import A_LOSS, AroundLoss, any_loss
from keras_losses.core import Loss, context, flag, parameter
from keras_losses.numerics import Tensor, derivatives


class ModelPenalty(Loss):
    """Base of penalties with a value for each sample that the model has to be asked for.

    A subclass states `penalty(y_pred)`. `self._step` is what it asks, for the output that the loss is of.
    """

    _needs_model: ClassVar[bool] = True

    def _reduced(self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None) -> Tensor:
        # One loss may be of several outputs: this call is of the one with these predictions.
        here = context.current()
        steps = here.steps.get(self, ())
        own = [step for step in steps if step.of_output(step.y_pred) is y_pred]
        with context.computing(here.with_steps(self, own or steps)):
            return super()._reduced(y_true, y_pred, sample_weight, reduction)

    @property
    def _step(self) -> Any:
        """The data of the step for the output; None where no model computes its loss."""
        return next(iter(context.current().steps.get(self, ())), None)

    def align(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        # The labels are the inner loss's alone, as they came.
        y_pred = self.convert(y_pred)
        return ops.zeros_like(y_pred), y_pred

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        if self._step is None or self._step.x is None:
            raise ValueError(
                f"`{type(self).__name__}`: it asks the model for more than its predictions, and there is no "
                "model. Compile a LossAwareModel with it, such as LossAwareModel.from_model(model); a "
                "keras.Model, or a call by hand, cannot give it one."
            )
        return self.penalty(y_pred)

    def penalty(self, y_pred: Tensor) -> Tensor:
        raise NotImplementedError

    def _answers(self, x: Any) -> Tensor:
        return self.convert(self._step.of_output(self._step.forward(x)))

    def slopes(self, functions: Callable[[Any], list[Tensor]]) -> Tensor:
        """The sum of the squared slopes of each function in the inputs of a sample, `(batch,)`."""
        flat = [ops.convert_to_tensor(x) for x in keras.tree.flatten(self._step.x)]
        if not all(map(numerics.is_float, flat)):
            kinds = ", ".join(keras.backend.standardize_dtype(x.dtype) for x in flat)
            raise ValueError(
                f"`{type(self).__name__}`: there are slopes in numbers of a range alone. The model's inputs "
                f"must be of a floating-point dtype. Received: {kinds}. Put an Embedding outside."
            )

        def of_inputs(*arrays: Tensor) -> list[Tensor]:
            return functions(keras.tree.pack_sequence_as(self._step.x, list(arrays)))

        _, found = derivatives.values_and_gradients(of_inputs, flat)
        squares = [
            ops.sum(ops.square(ops.reshape(self.convert(slope), (ops.shape(slope)[0], -1))), axis=-1)
            for each in found
            for slope in each
        ]
        return sum(squares[1:], squares[0])


class JacobianPenalty(ModelPenalty):
    """Keeps the predictions from changing with small changes of the inputs.

        loss = sum_k ||d f_k / d x||^2     over the model's outputs k: the Jacobian's squared Frobenius norm

    It takes one pass backwards for each output. `InputGradientPenalty` takes one in all, and holds back only
    the changes that the loss would notice.

    Args:
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_pred` `(batch, outputs)`; other axes are outputs too. With `reduction="none"` the result is
    `(batch,)`. In validation it has a value as well. The model is asked as in inference: dropout is
    off, and batch normalisation uses its moving averages, so that no sample depends on another.

    Raises:
        ValueError: without a `LossAwareModel`, and for inputs that are integers or strings.

    References:
        - Hoffman, Roberts & Yaida 2019, Robust Learning with Jacobian Regularization,
          https://arxiv.org/abs/1908.02729
    """

    def penalty(self, y_pred: Tensor) -> Tensor:
        outputs = 1
        for size in y_pred.shape[1:]:
            outputs *= size

        def functions(x: Any) -> list[Tensor]:
            predicted = ops.reshape(self._answers(x), (-1, outputs))
            return [ops.sum(predicted[:, k]) for k in range(outputs)]

        return self.slopes(functions)


class InputGradientPenalty(ModelPenalty):
    """Keeps the loss of a sample from changing with small changes of its inputs: double backpropagation.

        loss = ||d inner / d x||^2

    Args:
        loss: whose slope it is: one of this library or of Keras, its name in Keras, or a function
            `(y_true, y_pred)` that returns a value for each sample.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: as the inner loss has them; its values are added up for each sample of the batch. With
    `reduction="none"` the result is
    `(batch,)`. In validation it has a value as well. The model is asked as in inference: dropout is off, and
    batch normalisation uses its moving averages, so that no sample depends on another.

    Raises:
        ValueError: without a `LossAwareModel`, for inputs that are integers or strings, and whatever the
            inner loss raises.

    References:
        - Drucker & Le Cun 1992, Improving Generalization Performance Using Double Backpropagation,
          https://doi.org/10.1109/72.165600
        - Ross & Doshi-Velez 2018, Improving the Adversarial Robustness and Interpretability of Deep Neural
          Networks by Regularizing Their Input Gradients, https://arxiv.org/abs/1711.09404
    """

    loss: Any = parameter(convert=any_loss, domain=A_LOSS)

    def validate(self) -> None:
        self._inner = self.loss if isinstance(self.loss, Loss) else AroundLoss(self.loss, dtype=self.dtype)

    @property
    def _inside(self) -> dict[str, Loss]:
        return {"": self._inner}

    def penalty(self, y_pred: Tensor) -> Tensor:
        step = self._step
        weight = step.of_output(step.sample_weight)
        counts = None if weight is None else ops.cast(ops.not_equal(weight, 0), self.compute_dtype)

        def functions(x: Any) -> list[Tensor]:
            # Not `call`: what does not count has no slope, and its label may be a NaN.
            y_pred = step.of_output(step.forward(x))
            return [self._inner._reduced(step.y_true, y_pred, counts, "sum")]

        return self.slopes(functions)


class ConsistencyPenalty(ModelPenalty):
    """Makes a model with dropout answer alike twice: R-Drop.

        loss = (KL(p || q) + KL(q || p)) / 2     of predictions p and those of a second pass, q

    The second pass has its own dropout and costs as much as the first; its layers with moving averages move
    them twice. Both passes are trained. In the paper the cross-entropy of the second pass is trained as well:
    its mean over the passes is the same. In validation there is no dropout, no second pass, and the value
    is 0.

    Args:
        kind: `"classes"`: the predictions are distributions over the last axis; `"outputs"`: each is a
            probability of its own, the mean over the last axis; `"numbers"`: they are numbers, the mean of
            (p - q)^2 over the last axis.
        from_logits: whether they are logits of probabilities.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for a kind that is none, and without a `LossAwareModel`.

    References:
        - Wu et al. 2021, R-Drop: Regularized Dropout for Neural Networks, https://arxiv.org/abs/2106.14448
    """

    kind: str = parameter(default="classes", choices=("classes", "outputs", "numbers"))
    from_logits: bool = flag(default=False)

    def penalty(self, y_pred: Tensor) -> Tensor:
        if not self._step.training:
            return ops.zeros_like(y_pred[..., 0])
        p, q = self._read(y_pred), self._read(self._step.again())
        if self.kind == "numbers":
            return numerics.mean(ops.square(p[0] - q[0]))
        slopes = (p[0] - q[0]) * (p[1] - q[1]) / 2.0
        return ops.sum(slopes, axis=-1) if self.kind == "classes" else numerics.mean(slopes)

    def _read(self, y_pred: Any) -> tuple[Tensor, Tensor]:
        """Probabilities, and their logarithms or log-odds; numbers as they are."""
        if self.kind == "numbers":
            return (self.convert(y_pred),) * 2
        if self.kind == "classes":
            found = self.predictions(y_pred, self.from_logits, "softmax").of_every_class()
            return ops.exp(-found.value), -found.value
        logits = self.predictions(y_pred, self.from_logits, "sigmoid").as_logits(of_outputs=True)
        return ops.sigmoid(logits), logits
