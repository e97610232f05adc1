"""The published study: its search, tests, first predictions and comparison of backends."""
