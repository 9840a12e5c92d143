"""Writes what this release saves of each loss that it has no record of yet: python -m tests.golden.write.

What is there is never written again. With the oldest Keras that is supported: an older Keras need not read
what a newer one wrote.
"""

import json
from pathlib import Path

import keras
import numpy as np

import keras_losses
from keras_losses import catalogue
from tests.backends import value
from tests.contract import samples
from tests.contract.test_round_trips import small_model

HERE = Path(__file__).parent


def fitting(name):
    """The loss with its defaults, and with a value of its own for every hyper-parameter."""
    batch = next(batch for batch in samples.batches(name) if samples.simple(batch) and batch.y_pred.ndim == 2)
    found = [case for case in samples.cases(name) if case.batch is batch]
    return found[0], max(reversed(found), key=lambda case: len(case.options))


def configs(names):
    """The configs of each loss, with the values that it gives."""
    for name in names:
        for case in fitting(name):
            loss, batch = case.build(reduction="none"), case.batch
            yield {
                "saved": keras.losses.serialize(loss),
                "y_true": np.asarray(batch.y_true).tolist(),
                "y_pred": np.asarray(batch.y_pred).tolist(),
                "values": value(loss, batch.y_true, batch.y_pred.astype("float32")).tolist(),
            }


def models(names, folder):
    """A trained model for each loss in a .keras file, and what evaluate and predict say of it."""
    for name in names:
        case = fitting(name)[1]
        model, x = small_model(case)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss=case.build(reduction="sum"))
        model.fit(x, case.batch.y_true, verbose=0, batch_size=6)
        model.save(folder / f"{name}.keras")
        yield {
            "file": f"{folder.name}/{name}.keras",
            "x": x.tolist(),
            "y": np.asarray(case.batch.y_true).tolist(),
            "predictions": model.predict(x, verbose=0).tolist(),
            "loss": float(np.ravel(model.evaluate(x, case.batch.y_true, verbose=0))[0]),
        }


def add(records, path):
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    path.write_text(json.dumps([*kept, *records], indent=1) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    release = HERE / keras_losses.__version__
    release.mkdir(exist_ok=True)
    missing = [name for name in catalogue.losses() if not (release / f"{name}.keras").exists()]
    add(configs(missing), release / "configs.json")
    add(models(missing, release), release / "models.json")
