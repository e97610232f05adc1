"""Searches of settings, kept apart from the runs that are compared."""

PUBLISHED_METHOD = "mf-published-jax"
"""What the published search trains: the study searched with its JAX code."""
