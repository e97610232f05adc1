"""Lowest p-values that rank tests can give."""


def least_p(folds: int) -> float:
    """Lowest two-sided p of the signed-rank test of J pairs without ties: 2/2ᴶ."""
    return 2.0 ** (1 - folds)
