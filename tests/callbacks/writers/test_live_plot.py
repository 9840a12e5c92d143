"""What a notebook is shown while a model trains, in a kernel of its own."""

import base64
import io
import types

import pytest
from PIL import Image

from keras_losses.callbacks import LivePlot
from keras_losses.callbacks.writers import drawing

TRAINING = """
from keras_losses.callbacks import LivePlot
from keras_losses.callbacks.writers import drawing
now = [0.0]
drawing.time.monotonic = lambda: now[0]
plot = LivePlot(seconds=10)
for fit in range(2):
    plot.begin(5 * fit, {})
    for step in range(1, 6):
        now[0] += 6.0
        plot.scalar("train", "batch/loss", 1.0 / step, 5 * fit + step, 0.0)
        plot.flush()
    plot.end({})
    plot.close()
"""


def test_a_picture_that_changes(monkeypatch):
    """With a stand-in for the notebook's display; a kernel of its own is started by the thorough suite."""
    ipython = pytest.importorskip("IPython", reason="needs IPython: pip install ipykernel")
    import IPython.display

    shown = []

    class Handle:
        def __init__(self, image):
            shown.append((self, image))

        def update(self, image):
            shown.append((self, image))

    def display(image, display_id):
        assert display_id is True  # without it there is no handle
        return Handle(image)

    monkeypatch.setattr(ipython, "get_ipython", lambda: types.SimpleNamespace(kernel=None))
    monkeypatch.setattr(IPython.display, "display", display)
    monkeypatch.setattr(drawing.time, "monotonic", None)  # set by the program, and back by pytest
    exec(TRAINING, {})
    assert len(shown) == 6
    first, second = shown[0][0], shown[3][0]
    assert [handle for handle, _ in shown] == [first] * 3 + [second] * 3
    assert first is not second
    assert len({image.data for _, image in shown}) == 6
    assert {image.width for _, image in shown} == {720}
    assert Image.open(io.BytesIO(shown[0][1].data)).width == 2 * 720


@pytest.mark.thorough
def test_a_notebook_is_shown_a_picture_that_changes():
    """Flushed at 6, 12, ... 30 s and drawn every 10: at 6, 18 and 30; again from 36: at 42, 54 and 60."""
    manager = pytest.importorskip("jupyter_client.manager", reason="needs ipykernel: pip install ipykernel")
    pytest.importorskip("ipykernel", reason="pip install ipykernel")
    messages = []
    kernel, client = manager.start_new_kernel(kernel_name="python3")
    try:
        reply = client.execute_interactive(TRAINING, timeout=300, output_hook=messages.append)
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok", reply["content"].get("traceback")
    shown = [message for message in messages if "display_data" in message["msg_type"]]
    fit = ["display_data", "update_display_data", "update_display_data"]
    assert [message["msg_type"] for message in shown] == [*fit, *fit]
    places = [message["content"]["transient"]["display_id"] for message in shown]
    assert places[0] == places[1] == places[2] != places[3] == places[4] == places[5]
    pictures = [message["content"]["data"]["image/png"] for message in shown]
    assert len(set(pictures)) == 6
    assert Image.open(io.BytesIO(base64.b64decode(pictures[0]))).width == 2 * 720


def test_outside_of_a_notebook():
    with pytest.warns(UserWarning, match=r"`LivePlot`: this is no notebook.*LossReport\("):
        plot = LivePlot()
    plot.begin(0, {})
    plot.scalar("train", "epoch/loss", 1.0, 1, 0.0)
    plot.flush()
    plot.end({})
    plot.close()


@pytest.mark.parametrize("seconds", [-1, "1", True, float("nan"), None])
def test_seconds(seconds):
    with pytest.raises((TypeError, ValueError), match=r"LivePlot`: `seconds` must be a number in \[0, inf\]"):
        LivePlot(seconds)


def test_drawing_takes_a_part_of_the_time_only(monkeypatch):
    """A drawing of 2 s at a tenth of the time: the next after 20 s; of 0 s: after the 3 s asked for."""
    now = [100.0]
    monkeypatch.setattr(drawing.time, "monotonic", lambda: now[0])
    pace = drawing.Pace(seconds=3.0, part=0.1)
    assert pace.due()
    pace.took(98.0)
    now[0] = 119.9
    assert not pace.due()
    now[0] = 120.0
    assert pace.due()
    pace.took(120.0)
    now[0] = 122.9
    assert not pace.due()
    now[0] = 123.0
    assert pace.due()
