"""Test the metric of examples/detection.py by cases worked out by hand."""

import importlib.util
import pathlib

import numpy as np
import pytest

EXAMPLE = pathlib.Path(__file__).parents[1] / "examples" / "average_precision.py"
_SPEC = importlib.util.spec_from_file_location("average_precision", EXAMPLE)
metric = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(metric)

LEFT, RIGHT = (0, 0, 4, 4), (6, 0, 10, 4)
ELSEWHERE = (20, 20, 24, 24)


def detections(*images):
    """Detections of (box, class, score), as many in each image."""
    parts = zip(*(zip(*image, strict=True) for image in images), strict=True)
    boxes, classes, scores = (np.array(part) for part in parts)
    return metric.Detections(boxes.astype(float), classes, scores)


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ((0, 0, 4, 4), 1),
        ((1, 0, 5, 4), 12 / 20),
        ((1, 1, 3, 3), 4 / 16),
        ((4, 0, 8, 4), 0),  # touches
        ((6, 6, 8, 8), 0),
        ((2, 2, 2, 2), 0),  # empty
        ((3, 0, 1, 4), 0),  # inverted
        ((3, 3, 1, 1), 0),
    ],
)
def test_overlaps(box, share):
    np.testing.assert_allclose(metric.overlaps(np.array(box), np.array([LEFT, ELSEWHERE])), [share, 0])


@pytest.mark.parametrize(
    ("hits", "objects", "expected"),
    [
        ([True, True], 2, 1),
        ([True, True], 4, (1 + 1) / 4),  # two are missed
        ([True, False, True], 2, (1 + 2 / 3) / 2),
        ([False, True, True], 2, (2 / 3 + 2 / 3) / 2),  # 2/3 at a recall of 1 is more than 1/2 at 1/2
        ([True, False, False, True, True], 3, (1 + 3 / 5 + 3 / 5) / 3),
        ([False, False], 3, 0),
        ([], 3, 0),
    ],
)
def test_average_precision(hits, objects, expected):
    assert metric.average_precision(np.array(hits, bool), objects) == pytest.approx(expected)


def test_an_object_counts_once_for_its_surest_detection():
    twice = detections([(LEFT, 0, 0.7), ((1, 0, 5, 4), 0, 0.9), (RIGHT, 0, 0.8)])
    objects = [[(LEFT, 0), (RIGHT, 0)]]
    np.testing.assert_array_equal(twice.hits(0, objects, 0.5), [True, True, False])
    # The surest detection has an IoU of 12 / 20, which is too little here, and the third one is perfect.
    np.testing.assert_array_equal(twice.hits(0, objects, 0.75), [False, True, True])


def test_classes_and_images_are_apart():
    found = detections(
        [(LEFT, 0, 0.9), (RIGHT, 1, 0.8), (ELSEWHERE, -1, 1.0)],
        [(LEFT, 0, 0.6), (RIGHT, 0, 0.7), (ELSEWHERE, -1, 1.0)],
    )
    objects = [[(LEFT, 0), (RIGHT, 0)], [(RIGHT, 0), (ELSEWHERE, 2)]]
    # Class 0: right at 0.9, right at 0.7 in the second image, wrong at 0.6; the RIGHT of the first is missed.
    np.testing.assert_array_equal(found.hits(0, objects, 0.5), [True, True, False])
    # Class 1 does not occur, so its detection costs nothing here. Class 2 is never detected.
    assert found.mean_average_precision(objects, 0.5) == pytest.approx(((1 + 1) / 3 + 0) / 2)
