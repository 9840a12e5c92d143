"""What the writers of text write, read back by csv, json and pandas."""

import csv
import doctest
import json
import math
import os
import weakref

import pytest

from keras_losses.callbacks import CSVWriter, JSONLinesWriter
from keras_losses.callbacks.writers import text as text_writers

both = pytest.mark.parametrize("writer", [CSVWriter, JSONLinesWriter])


def begun(writer, path, step=0):
    begun = writer(path)
    begun.begin(step, {"gamma": 2.0})
    return begun


def write(writer, first, last, value=1.0):
    for step in range(first, last + 1):
        writer.scalar("train", "batch/loss", value, step, 1e9)


def points(path):
    """The points of a file as tuples, with the types they are read with by hand."""
    with open(path, encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            rows = list(csv.DictReader(file))
        else:
            rows = [json.loads(line, parse_constant=pytest.fail) for line in file]
    return [
        (row["run"], row["tag"], int(row["step"]), float(row["value"]), float(row["wall_time"]))
        for row in rows
    ]


def steps(path):
    return [(step, value) for _, _, step, value, _ in points(path)]


@pytest.fixture
def path(tmp_path, writer):
    return tmp_path / "deep" / {CSVWriter: "curves.csv", JSONLinesWriter: "curves.jsonl"}[writer]


@both
def test_numbers_come_back_to_the_last_bit(writer, path):
    written = begun(writer, path)
    values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, math.inf, -math.inf]
    for step, value in enumerate(values):
        written.scalar("train", "batch/loss", value, step, 1700000000.1234567)
    written.scalar("validation", "epoch/loss", math.nan, 2**40, 1.0)
    written.close()
    *finite, last = points(path)
    assert finite == [("train", "batch/loss", i, v, 1700000000.1234567) for i, v in enumerate(values)]
    assert math.copysign(1, finite[4][3]) == -1
    assert last[:3] == ("validation", "epoch/loss", 2**40)
    assert math.isnan(last[3])


@both
@pytest.mark.parametrize("tag", ["a,b", 'a"b', "a b", "größe", "a'b", "[0]", "{x}"])
def test_a_tag_may_be_any_text(writer, path, tag):
    written = begun(writer, path)
    written.scalar("train", tag, 0.5, 1, 2.0)
    written.close()
    begun(writer, path, 1).close()
    assert points(path) == [("train", tag, 1, 0.5, 2.0)]


@both
def test_a_tag_of_two_lines_is_a_point_all_the_same(writer, path):
    written = begun(writer, path)
    written.scalar("train", "a\nb", 0.5, 1, 2.0)
    written.close()
    begun(writer, path, 1).close()
    ((_, tag, *_),) = points(path)
    assert tag == {CSVWriter: "a b", JSONLinesWriter: "a\nb"}[writer]


def test_pandas_reads_both(tmp_path):
    pd = pytest.importorskip("pandas", reason="needs pandas")
    for writer, name in ((CSVWriter, "a.csv"), (JSONLinesWriter, "a.jsonl")):
        written = begun(writer, tmp_path / name)
        written.scalar("train", "loss", 0.25, 1, 1.0)
        written.scalar("train", "loss", math.nan, 2, 1.0)
        written.scalar("train", "loss", -math.inf, 3, 1.0)
        written.close()
    table = pd.read_csv(tmp_path / "a.csv")
    lines = pd.read_json(tmp_path / "a.jsonl", lines=True)
    for values in (table["value"], lines["value"].astype(float)):
        assert values[0] == 0.25
        assert math.isnan(values[1])
        assert values[2] == -math.inf


@both
def test_flush_is_enough(writer, path):
    written = begun(writer, path)
    assert points(path) == []
    write(written, 1, 2)
    written.flush()
    assert steps(path) == [(1, 1.0), (2, 1.0)]


@both
@pytest.mark.parametrize("cut", [0, 1, 12])
def test_a_killed_training_goes_on_without_overlap_or_gap(writer, path, cut):
    killed = begun(writer, path)
    write(killed, 1, 7)
    killed.close()
    os.truncate(path, path.stat().st_size - cut)
    whole = path.read_bytes()
    resumed = begun(writer, path, 4)
    write(resumed, 5, 8, value=0.5)
    resumed.close()
    assert steps(path) == [(step, 1.0 if step <= 4 else 0.5) for step in range(1, 9)]
    (kept,) = (path.parent / "superseded").iterdir()
    assert kept.read_bytes() == whole
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name, "superseded"]


@both
def test_a_line_that_is_cut_off_is_no_point(writer, path):
    killed = begun(writer, path)
    killed.scalar("train", "batch/loss", 0.25, 1, 1e9)
    killed.scalar("train", "batch/loss", 0.5, 2, 1234.5)
    killed.close()
    os.truncate(path, path.stat().st_size - 2)  # as CSV, the time would read 1234.
    begun(writer, path, 2).close()
    assert steps(path) == [(1, 0.25)]


@both
def test_fits_of_one_writer_go_on(writer, path):
    written = begun(writer, path)
    write(written, 1, 2)
    written.end({})
    written.close()
    written.begin(2, {})
    write(written, 3, 4)
    written.begin(4, {})
    write(written, 5, 5)
    written.close()
    assert [step for step, _ in steps(path)] == [1, 2, 3, 4, 5]
    assert not (path.parent / "superseded").exists()
    written.begin(0, {})  # another model
    written.close()
    assert steps(path) == []


@both
def test_of_two_writers_of_a_file_the_newer_one_writes(writer, path):
    older = begun(writer, path)
    write(older, 1, 5)
    newer = begun(writer, path.parent / ".." / path.parent.name / path.name, 3)
    write(newer, 4, 4, value=0.5)
    write(older, 6, 7)
    older.flush()
    older.close()
    gone = weakref.ref(older)
    del older
    assert gone() is None  # at once, without a collection of garbage, which takes a minute of a long run
    write(newer, 5, 5, value=0.5)
    newer.close()
    assert steps(path) == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 0.5), (5, 0.5)]


@both
@pytest.mark.parametrize("content", ["epoch,loss\n0,0.5\n", "some text\n", '{"a": 1}\n', "[1]\n", "\xff\n"])
def test_a_file_of_another_kind_is_left_alone(writer, path, content):
    path.parent.mkdir()
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=f"{writer.__name__}.*{path.name}"):
        begun(writer, path)
    assert path.read_bytes() == content.encode("latin-1")


@both
def test_a_file_that_cannot_be_written_is_known_at_once(writer, path):
    path.mkdir(parents=True)
    with pytest.raises(OSError):
        begun(writer, path)


@both
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk(writer):
    def training():
        full = begun(writer, "/dev/full")
        write(full, 1, 1)
        full.flush()

    with pytest.raises(OSError):
        training()


def test_the_examples():
    assert doctest.testmod(text_writers).failed == 0
