"""Penalties that call the model again: on its gradient in the inputs, or on a second prediction.

They are terms of the loss of a `LossAwareModel`: `CrossentropyLoss() + 0.1 * JacobianPenalty()`. Their values
depend on the inputs of the step. They have no card, because a card describes labels and predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
from keras import ops

from keras_losses import numerics
from keras_losses.combine.around import A_LOSS, any_loss, as_loss
from keras_losses.core import Loss, context, flag, parameter
from keras_losses.numerics import Tensor, derivatives


class ModelPenalty(Loss):
    """Base of penalties that call the model.

    A subclass defines `penalty(y_pred)`, which returns one value per sample. `self._step` calls the model,
    and selects the output to which the penalty belongs.
    """

    _needs_model: ClassVar[bool] = True

    def _reduced(self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None) -> Tensor:
        # One loss may belong to several outputs. This call belongs to the output with these predictions.
        here = context.current()
        steps = here.steps.get(self, ())
        own = [step for step in steps if step.of_output(step.y_pred) is y_pred]
        with context.computing(here.with_steps(self, own or steps)):
            return super()._reduced(y_true, y_pred, sample_weight, reduction)

    @property
    def _step(self) -> Any:
        """The data of the step for the output; None if no model computes its loss."""
        return next(iter(context.current().steps.get(self, ())), None)

    def align(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        # The labels are aligned by the inner loss.
        y_pred = self.convert(y_pred)
        return ops.zeros_like(y_pred), y_pred

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        if self._step is None or self._step.x is None:
            raise ValueError(
                f"`{type(self).__name__}`: the penalty needs the model and the inputs of the step, which a "
                "keras.Model and a direct call do not provide. Compile a LossAwareModel with this loss, such "
                "as LossAwareModel.from_model(model)."
            )
        return self.penalty(y_pred)

    def penalty(self, y_pred: Tensor) -> Tensor:
        raise NotImplementedError

    def _predictions_of(self, x: Any) -> Tensor:
        """Return the predictions for inputs, for the output to which the penalty belongs."""
        return self.convert(self._step.of_output(self._step.forward(x)))

    def squared_gradients(self, functions: Callable[[Any], list[Tensor]]) -> Tensor:
        """Return the squared norm of the gradient in the inputs, `(batch,)`.

        Args:
            functions: returns scalars for the inputs of the batch; their squared norms are added up.
        """
        flat = [ops.convert_to_tensor(x) for x in keras.tree.flatten(self._step.x)]
        if not all(map(numerics.is_float, flat)):
            kinds = ", ".join(keras.backend.standardize_dtype(x.dtype) for x in flat)
            raise ValueError(
                f"`{type(self).__name__}`: the inputs of the model must have a floating-point dtype, because "
                f"other inputs have no gradient. Received: {kinds}. Give the model embedded tokens, with the "
                "Embedding outside of the model."
            )

        def of_inputs(*arrays: Tensor) -> list[Tensor]:
            return functions(keras.tree.pack_sequence_as(self._step.x, list(arrays)))

        _, gradients = derivatives.values_and_gradients(of_inputs, flat)
        squares = [
            ops.sum(ops.square(ops.reshape(self.convert(gradient), (ops.shape(gradient)[0], -1))), axis=-1)
            for of_function in gradients
            for gradient in of_function
        ]
        first, *others = squares
        return sum(others, first)


class JacobianPenalty(ModelPenalty):
    """Penalty on the Jacobian, which keeps predictions stable under small changes of the inputs.

        loss = sum_k ||d f_k / d x||^2     over the model's outputs k: the Jacobian's squared Frobenius norm

    It takes one backward pass per output. `InputGradientPenalty` takes a single backward pass, and only
    penalizes changes that change the loss.

    The model is called in inference mode: dropout is off, and batch normalization uses its moving averages,
    so that no sample depends on another. Validation logs the penalty as well.

    Args:
        name, reduction, dtype: As in `keras_losses.core.Loss`.

    Shapes: `y_pred` `(batch, outputs)`; further axes are outputs too. With `reduction="none"` the result is
    `(batch,)`.

    Raises:
        ValueError: If it is not the loss of a `LossAwareModel`, or if the inputs are integers or strings.

    References:
        - Hoffman, Roberts & Yaida 2019, Robust Learning with Jacobian Regularization,
          https://arxiv.org/abs/1908.02729
    """

    def penalty(self, y_pred: Tensor) -> Tensor:
        outputs = 1
        for size in y_pred.shape[1:]:
            outputs *= size

        def functions(x: Any) -> list[Tensor]:
            predicted = ops.reshape(self._predictions_of(x), (-1, outputs))
            return [ops.sum(predicted[:, k]) for k in range(outputs)]

        return self.squared_gradients(functions)


class InputGradientPenalty(ModelPenalty):
    """Penalty on the gradient of a loss in the inputs: double backpropagation.

        loss = ||d inner / d x||^2

    It keeps the loss of a sample stable under small changes of its inputs. The model is called in inference
    mode: dropout is off, and batch normalization uses its moving averages, so that no sample depends on
    another. Validation logs the penalty as well.

    Args:
        loss: The inner loss, whose gradient is penalized: a loss of this library or of Keras, the name of a
            loss of Keras, or a function `(y_true, y_pred)` that returns one value per sample.
        name, reduction, dtype: As in `keras_losses.core.Loss`.

    Shapes: as the inner loss takes them; its values are added up for each sample of the batch. With
    `reduction="none"` the result is `(batch,)`.

    Raises:
        ValueError: If it is not the loss of a `LossAwareModel`, if the inputs are integers or strings, or if
            the inner loss raises.

    References:
        - Drucker & Le Cun 1992, Improving Generalization Performance Using Double Backpropagation,
          https://doi.org/10.1109/72.165600
        - Ross & Doshi-Velez 2018, Improving the Adversarial Robustness and Interpretability of Deep Neural
          Networks by Regularizing Their Input Gradients, https://arxiv.org/abs/1711.09404
    """

    loss: Any = parameter(convert=any_loss, domain=A_LOSS)

    def validate(self) -> None:
        self._inner = as_loss(self.loss, self.dtype)

    @property
    def _inside(self) -> dict[str, Loss]:
        return {"": self._inner}

    def penalty(self, y_pred: Tensor) -> Tensor:
        step = self._step
        weight = step.of_output(step.sample_weight)
        counts = None if weight is None else ops.cast(ops.not_equal(weight, 0), self.compute_dtype)

        def functions(x: Any) -> list[Tensor]:
            # `_reduced` leaves out samples that do not count, whose labels may be NaN. `call` would not.
            y_pred = step.of_output(step.forward(x))
            return [self._inner._reduced(step.y_true, y_pred, counts, "sum")]

        return self.squared_gradients(functions)


class ConsistencyPenalty(ModelPenalty):
    """Penalty on the difference between two predictions of a model with dropout: R-Drop.

        loss = (KL(p || q) + KL(q || p)) / 2     for predictions p, and predictions q of a second pass

    The second pass draws its own dropout, costs as much as the first, and is trained too. Moving averages,
    as in batch normalization, are updated twice. The paper also trains the cross-entropy of the second pass,
    which has the same mean. In validation there is no dropout and no second pass, and the value is 0.

    Args:
        kind: What the predictions are. `"classes"`: distributions over the last axis. `"outputs"`: separate
            probabilities, averaged over the last axis. `"numbers"`: numbers, whose (p - q)^2 is averaged over
            the last axis.
        from_logits: Whether the predictions are logits.
        name, reduction, dtype: As in `keras_losses.core.Loss`.

    Shapes: `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: If `kind` is unknown, or if it is not the loss of a `LossAwareModel`.

    References:
        - Wu et al. 2021, R-Drop: Regularized Dropout for Neural Networks, https://arxiv.org/abs/2106.14448
    """

    kind: str = parameter(default="classes", choices=("classes", "outputs", "numbers"))
    from_logits: bool = flag(default=False)

    def penalty(self, y_pred: Tensor) -> Tensor:
        if not self._step.training:
            return ops.zeros_like(y_pred[..., 0])
        second = self._step.again()
        if self.kind == "numbers":
            return numerics.mean(ops.square(self.convert(y_pred) - self.convert(second)))
        p, log_p = self._probabilities(y_pred)
        q, log_q = self._probabilities(second)
        divergences = (p - q) * (log_p - log_q) / 2.0
        return ops.sum(divergences, axis=-1) if self.kind == "classes" else numerics.mean(divergences)

    def _probabilities(self, y_pred: Any) -> tuple[Tensor, Tensor]:
        """Return probabilities with their logarithms, or with their log-odds if outputs are separate."""
        if self.kind == "classes":
            negative_logs = self.predictions(y_pred, self.from_logits, "softmax").of_every_class().value
            return ops.exp(-negative_logs), -negative_logs
        logits = self.predictions(y_pred, self.from_logits, "sigmoid").as_logits(of_outputs=True)
        return ops.sigmoid(logits), logits
