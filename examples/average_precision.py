"""Score detected boxes by their mean average precision, for `detection.py`."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels
Objects = list[list[tuple[Box, int]]]  # of each image, the boxes with their classes


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of a box, which may be inverted or empty, with each of several."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    both = np.prod(np.maximum(sides, 0), axis=1)
    area = np.prod(np.maximum(box[2:] - box[:2], 0))
    return np.asarray(both / (area + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - both))


def average_precision(hits: np.ndarray, objects: int) -> float:
    """Area under the curve of precision over recall.

    The precision at a recall is the highest at this or any higher recall ("all-point interpolation").

    Args:
        hits: whether each detection is right, the surest first.
        objects: the number of objects to be detected.
    """
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float(highest[hits].sum() / objects)  # each hit adds 1 / objects to the recall


@dataclass
class Detections:
    """Boxes `(images, boxes, 4)` with their classes and scores `(images, boxes)`; the class -1 is none."""

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray

    def hits(self, label: int, objects: Objects, iou: float) -> np.ndarray:
        """Whether each detection of one class is right, the surest first.

        It is right if it overlaps by `iou` or more with an object that no surer detection has taken.
        """
        missing = [[box for box, of_class in in_image if of_class == label] for in_image in objects]
        places = np.argwhere(self.classes == label)
        places = places[np.argsort(-self.scores[tuple(places.T)], kind="stable")]
        hits = np.zeros(len(places), bool)
        for number, (image, place) in enumerate(places):
            if missing[image]:
                shares = overlaps(self.boxes[image, place], np.array(missing[image]))
                hits[number] = shares.max() >= iou
                if hits[number]:
                    del missing[image][shares.argmax()]
        return hits

    def mean_average_precision(self, objects: Objects, iou: float) -> float:
        """Mean of the average precision over the classes that occur."""
        counts = Counter(label for in_image in objects for _, label in in_image)
        hits = {label: self.hits(label, objects, iou) for label in counts}
        return float(np.mean([average_precision(hits[label], counts[label]) for label in counts]))
