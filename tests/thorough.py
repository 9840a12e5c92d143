"""Whether `pytest --thorough` was asked for; set by tests/conftest.py before tests are collected."""

ASKED = False
