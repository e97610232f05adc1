"""Inference from the errors: intervals, tests whose unit is the fold, and their assumptions."""
