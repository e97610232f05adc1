"""The published study: its search, tests, first predictions and comparison of libraries.

Nothing else in the package imports it; `published.enabled` in the config uses it.
"""

SEARCHED = "mf-published-jax"
"""The method that the published search trains: the study searched with its JAX code."""
