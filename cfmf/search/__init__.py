"""The published hyperparameter search, kept apart from the runs that are compared."""
