"""The declarations of hyper-parameters."""

import os
import subprocess
import sys

import pytest


@pytest.mark.thorough
def test_the_domain_in_words_is_there_without_docstrings():
    """`python -OO` removes docstrings, of which errors once took their words."""
    code = "import keras; print('imported'); import keras_losses; keras_losses.FocalLoss(alpha='high')"
    environment = {**os.environ, "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow")}
    run = subprocess.run([sys.executable, "-OO", "-c", code], env=environment, capture_output=True, text=True)
    if "imported" not in run.stdout:
        pytest.skip("Keras itself, or its backend, needs its docstrings")
    assert (
        "`FocalLoss`: `alpha` must be a number in [0, 1], or a sequence with a number from 0 up" in run.stderr
    )
