"""Losses made of other losses: wrappers of one loss, sums of named terms, tasks with learned weights."""
