"""Layers whose outputs a loss takes: heads for ordered classes, and a memory of earlier predictions."""
