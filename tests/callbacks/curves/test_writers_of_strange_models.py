"""Each writer records each of the strange models, with a point for every epoch."""

import csv
import json
import warnings

import pytest

from keras_losses.callbacks import CSVWriter, JSONLinesWriter, LossCurves, LossReport
from keras_losses.callbacks.writers.report import _read
from tests.callbacks.small import curve
from tests.callbacks.test_strange_models import MODELS, every_model

DRAWN = {"compiled again", "no optimizer"}
"""Models with a report as well: a drawing takes longer than such a training."""


@every_model
@pytest.mark.parametrize("batches", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_every_epoch_has_its_point(model, batches, tmp_path):
    def curves():
        writers = [CSVWriter(tmp_path / "curves.csv"), JSONLinesWriter(tmp_path / "curves.jsonl")]
        if model in DRAWN:
            writers.append(LossReport(tmp_path / "report.html"))
        return LossCurves(tmp_path / "logs", batches=batches, writers=writers)

    training = MODELS[model]()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        training.trained([curves()])
    assert [str(each.message) for each in caught if "without this writer" in str(each.message)] == []
    first, last = training.fit.get("initial_epoch", 0), training.fit.get("epochs", 1)
    rows = list(csv.DictReader((tmp_path / "curves.csv").open()))
    steps = [int(row["step"]) for row in rows if (row["run"], row["tag"]) == ("train", "epoch/loss")]
    assert len(steps) == len(set(steps)) == 2 * (last - first)
    assert steps == sorted(steps)
    lines = [json.loads(line) for line in (tmp_path / "curves.jsonl").open()]
    in_lines = [each["step"] for each in lines if (each["run"], each["tag"]) == ("train", "epoch/loss")]
    on_board = [step for step, _ in curve(tmp_path / "logs", "train", "epoch/loss")]
    assert in_lines == on_board == steps
    if model in DRAWN:
        assert _read(tmp_path / "report.html").curve("train", "epoch/loss").steps == steps
