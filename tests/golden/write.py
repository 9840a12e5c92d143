"""Writes what this release saves and has no record of yet: python -m tests.golden.write.

The records are added to and never rewritten. They are made with the oldest Keras that is supported: an older
Keras need not read what a newer one wrote.

- losses.jsonl: a line for each config, with the values that the loss gives for a few samples. Together the
  lines of a loss have a value other than the default for each of its hyper-parameters.
- *.keras: a model for each path through the base, with models.jsonl beside them for what it computed.
"""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np

import keras_losses
from keras_losses.core.parameters import REQUIRED
from keras_losses.tools import catalogue
from tests.backends import value
from tests.contract.cases import cases as cases_of
from tests.contract.cases import is_flat

HERE = Path(__file__).parent
SAMPLES = 3
WHATEVER_THE_DATA = {"axis": 1, "ignore_class": 255, "outputs": 2}
"""Values for hyper-parameters that no case of some losses changes: on a matrix they change no value."""

INPUTS = np.linspace(-1, 1, 12, dtype="float32").reshape(6, 2)


# Losses -----------------------------------------------------------------------------------------------


def lines(release, name):
    """The records of a release in a file, none if there is no file yet."""
    path = release / name
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    )


def changed(saved):
    """The hyper-parameters of a saved loss that have a value other than their default."""
    parameters = catalogue.losses()[saved["class_name"]].hyperparameters
    return {
        key
        for key, parameter in parameters.items()
        if key in saved["config"]
        and (parameter.default is REQUIRED or saved["config"][key] != parameter.default)
    }


def changes(case):
    return len(changed(keras.losses.serialize(case.build())))


def missing(name, records):
    """The hyper-parameters of a loss that no record changes; None stands for a loss without any record."""
    known = [record["saved"] for record in records if record["saved"]["class_name"] == name]
    left = set(catalogue.losses()[name].hyperparameters).difference(*map(changed, known))
    return left if known else left | {None}


def additions(name, records):
    """Records of a loss: with its defaults if there is none yet, and with each hyper-parameter changed."""
    left = missing(name, records)
    cases = sorted(cases_of(name), key=lambda case: (-changes(case), case.batch.y_pred.size))
    plain = min(cases, key=lambda case: (changes(case), case.batch.y_pred.size))
    matrix = next(case for case in cases[::-1] if is_flat(case))
    tried = [(plain, {}), *((case, {}) for case in cases)]
    tried += [(matrix, {key: other}) for key, other in WHATEVER_THE_DATA.items()]
    for case, more in tried:
        if left and (record := recorded(case, more)) and (new := left & {None, *changed(record["saved"])}):
            left -= new
            yield record
    assert not left, f"`{name}`: no case changes {sorted(left)}"


def recorded(case, more):
    """The record of a case, or None if the loss refuses the rounded data or has no finite value for them."""
    y_true, y_pred = rounded(case.batch.y_true), rounded(case.batch.y_pred)
    try:
        loss = case.build(name="mine", reduction="none", **more)
        values = value(loss, y_true, y_pred.astype("float32"))
    except (TypeError, ValueError):
        return None
    if not np.isfinite(values).all():
        return None
    return {
        "saved": keras.losses.serialize(loss),
        "y_true": y_true.tolist(),
        "y_pred": y_pred.tolist(),
        "values": short(values),
    }


def rounded(x):
    """The first samples in two decimals; distributions still add up to 1."""
    x = np.asarray(x)[:SAMPLES]
    if x.dtype.kind != "f":
        return x
    result = np.round(x, 2)
    if x.ndim > 1 and np.allclose(x.sum(-1), 1):
        result[..., -1] = np.round(1 - result[..., :-1].sum(-1), 2)
    return result + 0.0  # without the sign of a zero


def short(x):
    """Seven digits, which are all that float32 has."""
    return json.loads(
        json.dumps(np.asarray(x, "float64").tolist()), parse_float=lambda text: float(f"{float(text):.7g}")
    )


# Models -----------------------------------------------------------------------------------------------


def models():
    """By name: a model of two inputs, its loss and labels; one for each path through the base."""
    ids, numbers = np.arange(6) % 3, np.arange(-2.0, 4.0)[:, None]
    composite = keras_losses.HuberLoss(delta=0.5) + 0.5 * keras_losses.SquaredErrorLoss()
    learned = keras_losses.AdaptiveBarronLoss(outputs=1)
    focal = keras_losses.FocalLoss(gamma=1.5, from_logits=True, label_smoothing=0.1)
    vocabulary = keras_losses.VocabularyCrossentropy(z_loss=0.1)
    dense, head = keras.layers.Dense, keras_losses.VocabularyHead
    return {
        "elementwise": (sequential(dense(1)), keras_losses.HuberLoss(delta=0.5), numbers),
        "classes": (sequential(dense(3)), focal, ids),
        "composite": (sequential(dense(1)), composite, numbers),
        "learned": (
            keras_losses.LossAwareModel(inputs := keras.Input((2,)), dense(1)(inputs)),
            learned,
            numbers,
        ),
        "vocabulary": (sequential(head(3)), vocabulary, ids),
    }


def sequential(layer):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((2,)), layer])


def model_record(name, release):
    """Saves a model after a step, and returns what it computes then."""
    model, loss, y = models()[name]
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss=loss)
    model.train_on_batch(INPUTS, y)
    model.save(release / f"{name}.keras")
    compress(release / f"{name}.keras")
    model.reset_metrics()
    evaluated = model.test_on_batch(INPUTS, y, return_dict=True)
    predictions = keras.ops.convert_to_numpy(model(INPUTS))
    return {
        "name": name,
        "loss": type(loss).__name__,
        "y": y.tolist(),
        "predictions": short(predictions),
        "value": short(evaluated["loss"]),
    }


def compress(path):
    """The same archive with its entries compressed: Keras stores them as they are, mostly zeros."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


# The files --------------------------------------------------------------------------------------------


def add(records, path):
    """Adds lines to a file; those that it has stay."""
    with path.open("a", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, separators=(",", ":")) + "\n")
    print(path)


def main():
    release = HERE / keras_losses.__version__
    release.mkdir(exist_ok=True)
    known = lines(release, "losses.jsonl")
    add(
        (record for name in catalogue.losses() for record in additions(name, known)), release / "losses.jsonl"
    )
    there = {record["name"] for record in lines(release, "models.jsonl")}
    add((model_record(name, release) for name in models() if name not in there), release / "models.jsonl")


if __name__ == "__main__":
    main()
