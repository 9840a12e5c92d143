"""Schedules for optimizers and callbacks."""
