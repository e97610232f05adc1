"""User-based collaborative filtering against matrix factorization: data, methods, statistics."""

__version__ = "1.0.0"
