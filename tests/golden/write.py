"""Writes what this release saves of each loss: python -m tests.golden.write. Once a release, never again."""

import json
from pathlib import Path

import keras
import numpy as np

import keras_losses
from keras_losses import catalogue
from tests.backends import value
from tests.contract import samples


def records():
    """Each loss with its defaults, and with a value of its own for every hyper-parameter."""
    for name in catalogue.losses():
        batch = next(batch for batch in samples.batches(name) if samples.simple(batch))
        fitting = [case for case in samples.cases(name) if case.batch is batch]
        for case in (fitting[0], max(fitting, key=lambda case: len(case.options))):
            loss = case.build(reduction="none")
            yield {
                "saved": keras.losses.serialize(loss),
                "y_true": np.asarray(batch.y_true).tolist(),
                "y_pred": np.asarray(batch.y_pred).tolist(),
                "values": value(loss, batch.y_true, batch.y_pred.astype("float32")).tolist(),
            }


if __name__ == "__main__":
    path = Path(__file__).parent / f"{keras_losses.__version__}.json"
    path.write_text(json.dumps(list(records()), indent=1) + "\n", encoding="utf-8")
    print(path)
