"""User-based collaborative filtering against matrix factorization: data, methods, statistics."""

__version__ = "0.1.0"
