"""Losses of losses."""
