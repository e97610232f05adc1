"""Numba and torch kernels: they know arrays and sparse matrices, and no methods."""
