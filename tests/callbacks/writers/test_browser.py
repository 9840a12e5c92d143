"""What a person sees of the logs: TensorBoard's own pages, in a browser.

Two trainings of 40 updates, 4 epochs; the last values are exact, and the second's are twice the first's.
"""

import numpy as np
import pytest

from keras_losses.callbacks import TensorBoardWriter
from tests.callbacks import drive
from tests.callbacks.small import on_one_backend

pytestmark = on_one_backend
RUNS = ["first/train", "first/validation", "second/train", "second/validation"]


def train(log_dir, gamma, scale):
    writer = TensorBoardWriter(log_dir)
    writer.begin(0, {"loss": "FocalLoss", "gamma": gamma})
    for step in range(1, 41):
        writer.scalar("train", "batch/loss", scale * 5 / step, step, 1.7e9 + step)  # the last: 0.125
        writer.scalar("train", "learning_rate", 0.02 / step, step, 1.7e9 + step)
        if step % 10 == 0:
            for run, factor in (("train", 1), ("validation", 2)):
                value = scale * factor * 10 / step  # 0.25 and 0.5
                for name in ("loss", "accuracy", "terms/focal", "terms/focal_weighted", "terms/focal_share"):
                    writer.scalar(run, f"epoch/{name}", value, step, 1.7e9 + step)
                writer.histogram(run, "epoch/sample_loss", np.linspace(0, value, 50), step, 1.7e9 + step)
            writer.scalar("train", "parameters/gamma", gamma, step, 1.7e9 + step)
    writer.end({"loss": scale * 0.25, "val_loss": scale * 0.5})
    writer.close()


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    log_dir = tmp_path_factory.mktemp("logs")
    train(log_dir / "first", gamma=2.0, scale=1)
    train(log_dir / "second", gamma=3.0, scale=2)
    with drive.board(log_dir) as page:
        yield page


def drawn(board, css, within):
    """A curve crosses at least half of the columns of a chart that begins at step 0."""
    board.wait(lambda: all(board.coloured(chart) > 0.5 for chart in board.find(css, within)))


def test_time_series(board):
    board.open("timeseries", height=2000, smoothing=0, tagFilter="^(batch|epoch)/[a-z]*$|learning_rate")
    tags = {"batch/loss", "learning_rate", "epoch/loss", "epoch/accuracy"}

    def cards():
        cards = board.find("scalar-card")
        return {"".join(board.texts("tb-truncated-path", card)).replace(" ", ""): card for card in cards}

    def rows(tag):
        """Name, value and step of each run in the card's table."""
        lines = board.find("tb-data-table-content-row", cards()[tag])
        cells = [board.texts("tb-data-table-content-cell", line) for line in lines]
        return [[cell for cell in line if cell][:3] for line in cells]

    board.wait(lambda: set(cards()) == tags)
    assert set(RUNS) <= set(board.texts("runs-data-table tb-data-table-content-cell"))
    board.wait(lambda: all(rows(tag) for tag in tags))
    assert rows("batch/loss") == [["first/train", "0.125", "40"], ["second/train", "0.25", "40"]]
    assert rows("learning_rate") == [["first/train", "0.0005", "40"], ["second/train", "0.0005", "40"]]
    last = [[run, value, "40"] for run, value in zip(RUNS, ("0.25", "0.5", "0.5", "1"), strict=True)]
    assert rows("epoch/loss") == rows("epoch/accuracy") == last
    for card in cards().values():
        drawn(board, "canvas", card)


def test_custom_scalars(board):
    """Training and validation on one chart, and the learning rate under the loss."""
    board.open("custom_scalars&_smoothingWeight=0", height=4000)

    def charts():
        """Each chart's curves, in the order of the page."""
        cards = board.find("tf-custom-scalar-multi-line-chart-card")
        return {
            " ".join(board.texts("tf-card-heading", card)): {
                entry[2:] for entry in board.texts(".match-list-entry", card)
            }
            for card in cards
        }

    def of(tag, *runs):
        return {f"{tag} ({run})" for run in runs}

    expected = {
        "loss": of("batch/loss", "first/train", "second/train") | of("epoch/loss", *RUNS),
        "learning rate": of("learning_rate", "first/train", "second/train"),
        "what each term adds to the loss": of("epoch/terms/focal_weighted", *RUNS),
        "share of each term": of("epoch/terms/focal_share", *RUNS),
        "terms": of("epoch/terms/focal", *RUNS),
        "parameters of the loss": of("parameters/gamma", "first/train", "second/train"),
        "accuracy": of("epoch/accuracy", *RUNS),
    }
    board.wait(lambda: all([*charts().values()]) and len(charts()) >= len(expected))
    assert charts() == expected
    assert list(charts()) == list(expected)
    for card in board.find("tf-custom-scalar-multi-line-chart-card"):
        drawn(board, "vz-line-chart2", card)


def test_hparams(board):
    board.open("hparams", width=2400)
    head, first, second = board.wait(
        lambda: rows if len(rows := board.rows("vaadin-grid-cell-content")) == 3 else None
    )
    assert head[2:] == [
        "gamma",
        "loss",
        "train.batch/loss",
        "train.epoch/accuracy",
        "validation.epoch/accuracy",
        "train.epoch/loss",
        "validation.epoch/loss",
    ]
    assert first[0].endswith("first")
    assert first[1:] == ["2.0000", "FocalLoss", "0.12500", "0.25000", "0.50000", "0.25000", "0.50000"]
    assert second[0].endswith("second")
    assert second[1:] == ["3.0000", "FocalLoss", "0.25000", "0.50000", "1.0000", "0.50000", "1.0000"]
