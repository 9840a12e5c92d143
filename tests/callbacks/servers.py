"""Servers of the tests' own, on loopback, that are gone when the test is."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import pytest


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command, url, seconds=120, directory=None):
    """Runs the command while the body runs, which begins once the URL answers, whatever it says.

    `sys.executable` is put before a command that begins with `-m`. A server that ends, or is still silent
    after so many seconds, fails the test with what it printed. It goes with all processes that it started.
    """
    command = [*([sys.executable] if command[0] == "-m" else []), *map(str, command)]
    with tempfile.TemporaryDirectory() as scratch:
        output = pathlib.Path(scratch) / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=file, cwd=directory or scratch, start_new_session=True
            )
        try:
            deadline = time.monotonic() + seconds
            while not _answers(url):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)  # between two attempts, and no longer than the server lives
                if process.poll() is not None or time.monotonic() > deadline:
                    state = "is silent" if process.poll() is None else f"ended with {process.returncode}"
                    pytest.fail(f"{' '.join(command)} {state}:\n{output.read_text(errors='replace')}")
            yield url
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the group of its own that it was started in
            process.wait()


def _answers(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback knows no proxy
    try:
        with opener.open(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
