"""A metric of one term of a sum of losses."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_losses import numerics
from keras_losses.combine import names
from keras_losses.numerics import Tensor


@keras.saving.register_keras_serializable("keras_losses")
class TermMetric(keras.metrics.Metric):  # type: ignore[misc]
    """The mean of a term of a sum of losses, before or after its weight; see `CompositeLoss.term_metrics`."""

    def __init__(
        self,
        loss: Any,
        term: str,
        weighted: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name or (names.weighted(term) if weighted else term), dtype=dtype)
        self.loss, self.term, self.weighted = loss, term, weighted
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        values, parts = self.loss._values_and_parts(y_true, y_pred, sample_weight, self.loss.reduction)
        chosen = parts if self.weighted else values
        # Keras weights the loss of a batch with the number of its samples.
        size = ops.cast(ops.shape(y_pred)[0], self.dtype)
        value = numerics.multiply_by_replicas(ops.cast(chosen[self.term], self.dtype))
        self.count.assign_add(size)
        self.total.assign_add(size * value)

    def result(self) -> Tensor:
        return numerics.divide_no_nan(ops.convert_to_tensor(self.total), ops.convert_to_tensor(self.count))

    def get_config(self) -> dict[str, Any]:
        loss = keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "loss": loss, "term": self.term, "weighted": self.weighted}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TermMetric:
        return cls(**{**config, "loss": keras.saving.deserialize_keras_object(config["loss"])})
