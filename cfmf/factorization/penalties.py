"""What is added to the squared errors to keep factors small: value and gradient.

Each penalty is R(θ) = Σ_rows w_row ρ(row), of a block of parameters whose rows are users or items.
The weight w_row is n_row / N where every observed pair adds its own penalty (weighted by
observations), or 1 / N. All are smooth, so that their gradients can be checked by differences.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

SMOOTH = 1e-3  # |x| is taken as sqrt(x² + SMOOTH²) - SMOOTH

Penalty = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def squares(block: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """½ Σ w_row x²: ridge, a normal prior. Value of each row, and gradient."""
    gradient = weights * block
    return 0.5 * (gradient * block).sum(1), gradient


def absolutes(block: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ w_row |x|: lasso, a Laplace prior; drives single factors of a row to zero."""
    length = torch.sqrt(block * block + SMOOTH**2)
    return (weights * (length - SMOOTH)).sum(1), weights * block / length


def row_lengths(block: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ w_row ‖row‖: group lasso by row; drives users and items to have biases and no factors."""
    length = torch.sqrt((block * block).sum(1, keepdim=True) + SMOOTH**2)
    return (weights * (length - SMOOTH)).sum(1), weights * block / length


PENALTIES: dict[str, Penalty] = {"l2": squares, "l1": absolutes, "group": row_lengths}
