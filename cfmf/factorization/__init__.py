"""Solvers that factorization methods share, and the models they fit."""
