"""Losses made of other losses: around one loss, sums of named terms, tasks with learned weights."""
