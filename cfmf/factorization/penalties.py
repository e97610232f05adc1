"""What is added to the squared errors to keep factors small: value and gradient.

A penalty takes the factors U (runs × m × k) and V (runs × n × k) and the weights of their rows
(runs × rows × 1), which are w_row / N, and gives the penalty of each run with its two gradients.
Both are smooth at zero and rotations of the factors do not change them. Penalties with a kink
there (lasso, by entry or by factor) hold factors at the zero from which they have to start.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

Penalty = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    tuple[torch.Tensor, torch.Tensor, torch.Tensor],
]


def squares(
    U: torch.Tensor, V: torch.Tensor, u: torch.Tensor, v: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """½ Σ_u w_u ‖U_u‖² + ½ Σ_i w_i ‖V_i‖²: ridge, a normal prior."""
    by_user, by_item = u * U, v * V
    return 0.5 * ((by_user * U).sum((1, 2)) + (by_item * V).sum((1, 2))), by_user, by_item


def cubes(
    U: torch.Tensor, V: torch.Tensor, u: torch.Tensor, v: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """⅓ Σ_u w_u ‖U_u‖³ + ⅓ Σ_i w_i ‖V_i‖³: short rows go free, long ones are held back harder."""
    by_user, by_item = (
        w * torch.linalg.vector_norm(block, dim=2, keepdim=True) for w, block in ((u, U), (v, V))
    )
    value = (by_user * U * U).sum((1, 2)) + (by_item * V * V).sum((1, 2))
    return value / 3, by_user * U, by_item * V


PENALTIES: dict[str, Penalty] = {"l2": squares, "cubic": cubes}
