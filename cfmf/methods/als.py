"""Matrix factorization by alternating least squares."""

from __future__ import annotations

from scipy import sparse

from cfmf.methods.base import setting
from cfmf.methods.factorization_base import PenalizedMethod, solving_operations
from cfmf.tasks import Solver


class ALS(PenalizedMethod):
    """The objective of mf minimized exactly, one side at a time: alternating least squares."""

    name = "als"
    label = "MF by ALS"
    equation = (
        "(U<sub>u</sub>, b<sub>u</sub>) = (Σ<sub>i∈R(u)</sub> q<sub>i</sub> q<sub>i</sub>ᵀ + "
        "Λ<sub>u</sub>)⁻¹ Σ<sub>i∈R(u)</sub> q<sub>i</sub> (x<sub>ui</sub> − μ − "
        "c<sub>i</sub>)"
    )
    source = (
        "Zhou, Wilkinson, Schreiber & Pan (2008). Large-scale parallel collaborative "
        "filtering for the Netflix Prize. AAIM."
    )

    reg: float = setting(
        0.15,
        "Strength λ of the penalty, as for mf; above 0, or rows with few ratings have no unique"
        " solution.",
        grid=[0.15, 0.2],
        step=1.5,
        search=(0.01, 10),
        gt=0,
    )
    max_epochs: int = setting(50, "Sweeps over users and items at most.", ge=1)
    tolerance: float = setting(
        0.0001,
        "Stops once the objective changes by less than this share of itself in a sweep.",
        ge=0,
    )
    patience: int = setting(
        3,
        "Stops when the validation RMSE has not improved for this many sweeps, and the best sweep"
        " is kept.",
        ge=1,
    )
    initial_scale: float = setting(
        0.5, "The initial factors are normal with standard deviation initial_scale / √k.", gt=0
    )

    def solver(self, device: str) -> Solver:
        """Exact solutions of one side at a time, on the CPU."""
        from cfmf.factorization import als

        return als.ALS(**self.model_dump(exclude_none=True))

    def operations(self, train: sparse.csr_array, queried: sparse.csr_array) -> float:
        """See `Method.operations`: exact solutions with c = k + 1 unknowns."""
        return solving_operations(train, self.k + 1)
