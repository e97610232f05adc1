"""The corrected objective, and the layout of its parameters in two arrays.

    J = [½ Σ_Ω e² + reg Σ_u w_u ρ(U_u) + reg Σ_i w_i ρ(V_i) + ½ β ‖b‖² + ½ γ ‖c‖²] / N

with the penalties (β, γ) of the biases, see `bias_regs`,
and e_ui = mean + b_u + c_i + U_u · V_i - x_ui, N observed pairs and ρ(v) = ½ ‖v‖² unless another
penalty is chosen. A left array holds [U | b | 1 | 0] and a right one [V | 1 | c | 0], so that one
inner product of their rows is the whole prediction; zeros fill them up to a multiple of 8 columns,
the width of a vector register (MKL's sampled product is up to 20 times slower on 3 to 7 columns).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from cfmf.factorization.model import Factorization, rated_rows
from cfmf.tasks import Task

LINE = 64  # bytes of a cache line
NUMBERS = 2**20  # normal numbers made at once, a multiple of 16


def padded(columns: int) -> int:
    """The next multiple of 8."""
    return -(-columns // 8) * 8


def row_weights(counts: np.ndarray, weighting: float) -> np.ndarray:
    """W = n̄ (n / n̄)^weighting of rows with n ratings, n̄ their mean over the rows, float64.

    1 lets every observed pair add the penalty of its user and item (λ n_u, as in Zhou et al.
    2008), 0 gives every row the same; between them, reg keeps its order of magnitude.
    """
    mean = counts.mean()
    return mean * (counts / mean) ** weighting


def bias_regs(task: Task, bias_reg: float) -> tuple[float, float]:
    """Penalties of the biases of users and of items: the task's, or the solver's for both."""
    return task.bias_reg or (bias_reg, bias_reg)


def start_factors(
    m: int, n: int, k: int, deviation: float, seed: int, same_key: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Normal factors of users and items, float32: the numbers of torch's generator on the CPU.

    One seed means one start on every device and for every solver; seed 42 and deviation 1 are the
    study's. With `same_key` the generator is set back between the two, as one key of JAX is used
    twice in the study.
    """
    generator = np.random.RandomState(seed % 2**32)
    users = normal_numbers(m * k, generator)
    if same_key:
        generator = np.random.RandomState(seed % 2**32)
    items = normal_numbers(n * k, generator)
    scale = np.float32(deviation)
    return users.reshape(m, k) * scale, items.reshape(n, k) * scale


def normal_numbers(count: int, generator: np.random.RandomState) -> np.ndarray:
    """What `torch.randn(count)` gives for a seed, in NumPy: equal to 2e-6, from 16 numbers on.

    So the solvers that compute without torch start where the study's code does. Torch turns the
    numbers of the Mersenne twister, 24 bits each, into normal ones by the method of Box and Muller:
    16 at a time, of which the first 8 give the radius and the others the angle. Where 16 does not
    divide the count, the last 16 are drawn once more.

    Returns
    -------
    `count` numbers, float32, rounded from float64.
    """
    uniform = generator.randint(0, 2**32, max(count, 16), dtype=np.uint32) & np.uint32(2**24 - 1)
    normal = np.empty(len(uniform), np.float32)
    whole = len(uniform) // 16 * 16
    for start in range(0, whole, NUMBERS):  # in parts: float64 takes more memory than the result
        part = slice(start, min(start + NUMBERS, whole))
        normal[part] = _box_muller(uniform[part])
    if whole < len(uniform):
        again = generator.randint(0, 2**32, 16, dtype=np.uint32) & np.uint32(2**24 - 1)
        normal[-16:] = _box_muller(again)
    return normal[:count]


def _box_muller(uniform: np.ndarray) -> np.ndarray:
    """Normal numbers, float64, from integers below 2²⁴, whose number 16 divides."""
    share = uniform.reshape(-1, 2, 8) / 2**24
    radius, angle = np.sqrt(-2 * np.log1p(-share[:, 0])), 2 * np.pi * share[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)


def silence_unrated(
    users: np.ndarray, items: np.ndarray, train: sparse.csr_array
) -> tuple[np.ndarray, np.ndarray]:
    """The factors with those of users and items without ratings set to zero, where they stay."""
    rated_users, rated_items = rated_rows(train)
    return users * rated_users[:, None], items * rated_items[:, None]


def side_by_side(
    user_factors: np.ndarray, item_factors: np.ndarray, biases: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Left and right arrays with these factors, biases zero (or no room for biases)."""
    k = user_factors.shape[1]
    blocks = []
    for factors, one in ((user_factors, k + 1), (item_factors, k)):
        block = aligned_zeros(len(factors), padded(k + 2 * biases), factors.dtype)
        block[:, :k] = factors
        if biases:
            block[:, one] = 1
        blocks.append(block)
    return blocks[0], blocks[1]


def aligned_zeros(rows: int, columns: int, dtype: np.dtype) -> np.ndarray:
    """Zeros that start with a cache line, so that no vector of a row lies across two of them."""
    size = rows * columns * dtype.itemsize
    room = np.zeros(size + LINE, np.uint8)
    begin = -room.ctypes.data % LINE
    return room[begin : begin + size].view(dtype).reshape(rows, columns)


def blocks_of(model: Factorization, biases: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The left and right arrays of a model, float32: what `as_model` made it of."""
    left, right = side_by_side(model.user_factors, model.item_factors, biases)
    if biases:
        k = model.user_factors.shape[1]
        left[:, k], right[:, k + 1] = model.user_bias, model.item_bias
    return left, right


def as_model(
    left: np.ndarray,
    right: np.ndarray,
    k: int,
    mean: float,
    biases: bool = True,
    bounds: tuple[float, float] | None = None,
    rated: tuple[np.ndarray, np.ndarray] | None = None,
) -> Factorization:
    """The model of left and right arrays, float32; `rated` as `Factorization` has it."""
    left, right = left.astype(np.float32), right.astype(np.float32)
    return Factorization(
        user_factors=left[:, :k].copy(),
        item_factors=right[:, :k].copy(),
        user_bias=left[:, k].copy() if biases else np.zeros(len(left), np.float32),
        item_bias=right[:, k + 1].copy() if biases else np.zeros(len(right), np.float32),
        mean=mean,
        bounds=bounds,
        rated=rated,
    )
