"""The `statistics` block of a config, for tests that need no config."""

BLOCK = {
    "alpha": 0.05,
    "ci_level": 0.95,
    "margin": 0.01,
    "power": 0.8,
    "bootstrap_repeats": 200,
    "seed": 1,
}
