"""What the report keeps, and that it stands, whatever becomes of the training."""

import collections
import html.parser
import itertools
import json
import math
import os
import re
import sys

import numpy as np
import pytest
from PIL import Image

from keras_losses.callbacks import LossCurves, LossReport, files
from keras_losses.callbacks.writers import drawing, report
from keras_losses.callbacks.writers.record import Record
from tests.callbacks import small

FORMATS = pytest.mark.parametrize("suffix", ["html", "png"])


class Page(html.parser.HTMLParser):
    """The texts of a page by the element that they stand in."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts = [], collections.defaultdict(list)
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and data.strip():
            self.texts[self.open[-1]].append(data.strip())


def record_of(path):
    """What the file holds, read without the reader under test."""
    if path.suffix == ".png":
        text = Image.open(path).info["keras-losses-record"]
    else:
        (text,) = Page(path.read_text()).texts["script"]
    content = json.loads(text)
    return content["hyperparameters"], {
        (run, tag): list(zip(steps, map(float, values), strict=True))
        for run, tag, steps, values in content["curves"]
    }


def epochs(writer, *steps, value=1.0):
    for step in steps:
        writer.scalar("train", "epoch/loss", value / step, step, 0.0)


@FORMATS
def test_a_report_goes_on_in_a_new_process(tmp_path, suffix):
    path = tmp_path / "made" / f"report.{suffix}"
    first = LossReport(path)
    first.begin(0, {"gamma": 2.0})
    epochs(first, 10, 20, 30)
    first.close()
    again = LossReport(path)
    again.begin(20, {"gamma": 3.0, "path": "</script>"})  # a checkpoint: what was after it never was
    epochs(again, 30, 40, value=6.0)
    again.end({"loss": 0.15})
    hyperparameters, curves = record_of(path)
    assert hyperparameters == {"gamma": 3.0, "path": "</script>"}
    assert curves == {("train", "epoch/loss"): [(10, 0.1), (20, 0.05), (30, 0.2), (40, 0.15)]}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_interrupted_fit_leaves_its_report(tmp_path):
    """Batch losses of 2.5, 12.5 and 25 (see `small`), each epoch; broken off in the second."""
    path = tmp_path / "report.html"
    curves = LossCurves(writers=[LossReport(path)])
    with pytest.raises(KeyboardInterrupt):
        small.fit(small.model(), curves, small.Interrupt(epoch=1, batch=2), epochs=2)
    curves._finalizer()  # what the end of Python calls
    hyperparameters, recorded = record_of(path)
    assert recorded["train", "batch/loss"][:5] == [(1, 2.5), (2, 12.5), (3, 25.0), (4, 2.5), (5, 12.5)]
    assert recorded["train", "epoch/loss"] == [(3, 11.0)]  # (1 + 4 + 9 + 16 + 25) / 5
    assert "loss" in hyperparameters


def test_a_fit_from_the_start_begins_an_empty_report(tmp_path):
    writer = LossReport(tmp_path / "report.html")
    writer.begin(0, {})
    epochs(writer, 10)
    writer.end({})
    writer.begin(0, {})
    epochs(writer, 5)
    writer.end({})
    assert record_of(writer.path)[1] == {("train", "epoch/loss"): [(5, 0.2)]}


def test_what_is_not_finite_comes_back(tmp_path):
    writer = LossReport(tmp_path / "report.html")
    for step, value in enumerate((math.nan, math.inf, -math.inf, 1.0), start=1):
        writer.scalar("train", "batch/loss", value, step, 0.0)
    writer.close()
    (nan, *others) = record_of(writer.path)[1]["train", "batch/loss"]
    assert math.isnan(nan[1])
    assert others == [(2, math.inf), (3, -math.inf), (4, 1.0)]
    assert "NaN" in Page(writer.path.read_text()).texts["text"]  # on the axis


def test_a_long_training_is_drawn_rarely_and_written_at_its_end(tmp_path, monkeypatch):
    """Drawing takes 1 s on this clock: again after 50 s at the earliest, only after an epoch."""
    now, written = [0.0], []
    monkeypatch.setattr(drawing.time, "monotonic", lambda: now[0])

    def draw(record):
        written.append((now[0], len(record.curve("train", "epoch/loss"))))
        now[0] += 1.0
        return ""

    monkeypatch.setattr(report, "page", draw)
    writer = LossReport(tmp_path / "report.html")
    writer.begin(0, {})
    for epoch, at in enumerate((10.0, 20.0, 60.0, 61.0, 62.0), start=1):
        now[0] = at
        writer.flush()  # nothing is new but batches
        epochs(writer, epoch)
        writer.flush()
    writer.close()
    writer.close()
    assert written == [(10.0, 1), (61.0, 3), (62.0, 5)]


@FORMATS
def test_a_file_of_others_is_not_replaced(tmp_path, suffix):
    path = tmp_path / f"report.{suffix}"
    path.write_text("mine")
    with pytest.raises(ValueError, match=r"is no report of `LossReport`.*Choose another path"):
        LossReport(path)
    Image.new("RGB", (1, 1)).save(tmp_path / "picture.png")
    with pytest.raises(ValueError, match="is no report of `LossReport`"):
        LossReport(tmp_path / "picture.png")
    assert path.read_text() == "mine"


def test_a_disk_that_fills_leaves_the_old_report(tmp_path, monkeypatch):
    writer = LossReport(tmp_path / "report.html")
    epochs(writer, 1)
    writer.close()
    before = writer.path.read_text()

    def full(descriptor):
        os.truncate(descriptor, 0)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    epochs(writer, 2)
    with pytest.raises(OSError, match="No space"):
        writer.close()
    assert [file.read_text() for file in tmp_path.iterdir()] == [before]


def test_other_suffixes(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.html or \.png\. Received: 'report\.pdf'"):
        LossReport("report.pdf")


def test_without_matplotlib(tmp_path, monkeypatch):
    """`test_event_file` imports the callbacks without it, in a process of its own."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"keras-losses\[plot\]"):
        LossReport(tmp_path / "report.html")


def everything():
    """A record of all that `LossCurves` can write, names that are long and alike included."""
    record = Record()
    record.begin(0, {f"terms/regularized_reconstruction_of_the_background/{k}/temperature": k for k in "ab"})
    rng = np.random.default_rng(0)
    for step in range(1, 41):
        loss = 10.0 ** (-step / 15)
        record.scalar("train", "batch/loss", loss * rng.lognormal(0, 0.2), step)
        record.scalar("train", "learning_rate", 1e-3 / step, step)
        if step % 10 == 0:
            for run in ("train", "validation"):
                for name in ("loss", "accuracy", "terms/focal", "terms/focal_weighted", "terms/focal_share"):
                    record.scalar(run, f"epoch/{name}", loss, step)
                record.histogram(run, "epoch/sample_loss", loss * rng.lognormal(size=100), step)
                for k in range(10, -1, -1):
                    record.scalar(run, f"class_loss/{k}", loss * (k + 1), step)
            record.scalar("train", "parameters/gamma", 2.0, step)
            for k in range(70):
                record.scalar(
                    "train", f"gradient_norm/functional/block_{k}/dense/kernel", loss * (k + 1), step
                )
    return record


def test_everything_is_shown_and_matplotlib_is_left_as_it_was():
    import matplotlib as mpl

    def figures():  # of whom draws beside us
        return sys.modules["matplotlib.pyplot"].get_fignums() if "matplotlib.pyplot" in sys.modules else []

    record, before = everything(), (dict(mpl.rcParams), figures())
    texts = Page(report.page(record)).texts
    drawing.png([*itertools.islice(drawing.sections(record), 2)], dpi=20)
    assert (dict(mpl.rcParams), figures()) == before
    assert texts["h2"] == [
        "Loss",
        "Terms, as weighted in the loss",
        "Terms, before their weights",
        "Metrics",
        "Parameters of the loss",
        "Spread of the losses of the samples, train",
        "Spread of the losses of the samples, validation",
        "Loss of each class, train",
        "Norm of the gradient in each weight, train: the 64 largest of 70 (functional/…)",
        "Loss of each class, validation",
        "Last figures, and those of the best validation loss (epoch 4 of 4, update 40)",
        "Hyper-parameters",
    ]
    shown = texts["text"]
    assert {"train", "validation", "loss", "learning rate", "accuracy", "gamma", "median"} <= set(shown)
    assert [name for name in shown if name.startswith("class ")][:11] == [f"class {k}" for k in range(11)]
    assert "block_69/dense/kernel" in shown
    assert "block_5/dense/kernel" not in shown  # of the six smallest
    cells = texts["td"]
    at = cells.index("accuracy")
    assert cells[at : at + 5] == ["accuracy"] + ["0.0021544"] * 4  # 10^(-40/15)
    assert all(f"terms/regularized_reconstruction_of_the_background/{k}/temperature" in cells for k in "ab")
    assert not any("gradient_norm" in cell for cell in cells)


def texts_of(figure):
    from matplotlib.text import Text

    renderer = figure.canvas.get_renderer()
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in found]


def test_no_text_covers_another_or_leaves_the_picture():
    """Long names beside the lines, in titles, of rows and in tables."""
    record = Record()
    names = [
        f"the_{k}_of_the_terms/with_a_very_long_name/that_ends_alike" for k in ("first", "second", "third")
    ]
    for step in (1, 2, 3):
        for run in ("train", "validation"):
            record.scalar(run, "epoch/loss", 1 / step, step)
            for name in names:
                record.scalar(run, f"epoch/terms/{name}", 1.0, step)
                record.scalar(run, f"epoch/terms/{name}_weighted", 0.01, step)
                record.scalar(run, f"epoch/{name}", 1.0, step)
                record.scalar("train", f"gradient_norm/model/{name}/kernel", 1.0, step)
    parts = [
        *drawing.sections(record),
        drawing.table("Names", [("name", "value"), *((n, "1") for n in names)]),
    ]
    for part in parts:
        figure = drawing.figure_of([part])
        figure.draw_without_rendering()
        width, height = figure.canvas.get_width_height()
        texts = [(text, box) for text, box in texts_of(figure) if not re.fullmatch(r"[-−\d.]+", text)]
        for index, (text, box) in enumerate(texts):
            assert box.x0 >= 0, text
            assert box.y0 >= 0, text
            assert box.x1 <= width + 1, text
            assert box.y1 <= height + 1, text
            for other, other_box in texts[index + 1 :]:
                assert not box.padded(-1.5).overlaps(other_box.padded(-1.5)), (part.title, text, other)


def test_terms_are_stacked_unless_one_is_negative():
    def areas(value):
        record = Record()
        for step in (1, 2):
            record.scalar("train", "epoch/terms/a", 1.0, step)
            record.scalar("train", "epoch/terms/a_weighted", 1.0, step)
            record.scalar("train", "epoch/terms/b", value, step)
            record.scalar("train", "epoch/terms/b_weighted", value, step)
        part = next(drawing.sections(record))
        assert part.title == "Terms, as weighted in the loss"
        (axes,) = drawing.figure_of([part]).subfigs[0].axes
        ends = [text.xy[1] * axes.get_ylim()[1] for text in axes.texts]  # where the names of the terms are
        return len(axes.collections), len(axes.lines), ends

    # Areas from 0 to 1 and from 1 to 1.5, each with its name in the middle.
    assert areas(0.5) == (2, 0, pytest.approx([0.5, 1.25]))
    assert areas(-0.5)[:2] == (0, 2)


@pytest.mark.parametrize(
    ("values", "scale"), [((1.0, 50.0), "linear"), ((1.0, 200.0), "log"), ((-1.0, 200.0), "linear")]
)
def test_the_axis_of_a_histogram(values, scale):
    """Logarithmic for positive numbers of very different size; each step's shares are 100 percent."""
    record = Record()
    for step in (1, 2):
        record.histogram("train", "examined/losses", np.array(values), step)
    draw = drawing._heat_of_histograms(record, "train", "examined/losses")
    figure = pytest.importorskip("matplotlib.figure").Figure()
    draw(figure)
    axes = figure.axes[0]
    assert axes.get_yscale() == scale
    np.testing.assert_allclose(axes.collections[0].get_array().reshape(-1, 2).sum(0), [100, 100])


@pytest.mark.parametrize(
    ("values", "scale"), [((1.0, 0.009), "log"), ((1.0, 0.02), "linear"), ((1.0, -0.001), "linear")]
)
def test_the_axis_of_the_loss(values, scale):
    record = Record()
    for step, value in enumerate(values):
        record.scalar("train", "batch/loss", value, step)
    (axes,) = drawing.figure_of([next(drawing.sections(record))]).subfigs[0].axes
    assert axes.get_yscale() == scale


def test_a_long_curve_keeps_what_stands_out():
    """100,000 points of 1, a spike up, one down and a NaN: bounded, all three there, in order."""
    record = Record()
    for step in range(100_000):
        value = {7: 9.0, 50_001: -9.0, 70_001: math.nan}.get(step, 1.0)
        record.scalar("train", "batch/loss", value, step)
    curve = record.curve("train", "batch/loss")
    assert len(curve) <= 8000
    whole = Record()
    for step in range(8000):
        whole.scalar("train", "batch/loss", 1.0, step)
    assert len(whole.curve("train", "batch/loss")) == 8000
    assert curve.steps == sorted(set(curve.steps))
    at = dict(zip(curve.steps, curve.values, strict=True))
    assert (at[7], at[50_001], at[99_999]) == (9.0, -9.0, 1.0)
    assert math.isnan(at[70_001])


def test_a_rate_in_float32_is_flat_before_and_after_a_restart():
    record = Record()
    record.scalar("train", "learning_rate", float(np.float32(0.001)), 1)
    record = Record.from_json(record.to_json())
    record.scalar("train", "learning_rate", 0.001, 2)
    assert record.curve("train", "learning_rate").values == [0.001, 0.001]


def test_many_histograms_stay_few():
    record = Record()
    for step in range(1, 1500):
        record.histogram("train", "epoch/sample_loss", np.array([0.0, step, math.nan]), step)
    series = record.histograms["train", "epoch/sample_loss"]
    assert 500 <= len(series) <= 1000
    assert series.steps[-1] == 1499
    assert (series.values[-1][0], series.values[-1][50], series.values[-1][100]) == (0.0, 749.5, 1499.0)


def test_the_best_epoch():
    record = Record()
    assert record.best() is None
    for step, value in enumerate((3.0, 1.0, 2.0, math.nan)):
        record.scalar("train", "epoch/loss", value, step)
    assert record.best() == ("train", 1)
    record.scalar("validation", "epoch/loss", 0.5, 0)
    assert record.best() == ("validation", 0)


def test_names_break_where_their_words_are_joined():
    assert drawing.wrapped("block_1/dense/kernel", 10) == "block_1/\ndense/\nkernel"
    assert drawing.wrapped("short", 10) == "short"
    assert drawing.wrapped("x" * 25, 10) == "\n".join(["x" * 10, "x" * 10, "x" * 5])
