"""Matrix factorization by alternating least squares on a cluster."""

from __future__ import annotations

from cfmf.methods.als import ALS
from cfmf.methods.base import setting
from cfmf.tasks import Solver


class ALSSpark(ALS):
    """As als, computed by Apache Spark, on one machine or a cluster; has its own environment."""

    name = "als-spark"
    label = "MF by ALS, on Spark"
    equation = ALS.equation
    source = (
        "Zaharia et al. (2016). Apache Spark: a unified engine for big data processing. "
        "Communications of the ACM 59(11)."
    )
    environment = "spark"

    master: str = setting(
        "",
        "Address of the cluster, such as spark://host:7077 or yarn; all its nodes must see the"
        " folder of the results. Empty computes on this machine, with the job's threads.",
    )
    partitions: int | None = setting(
        None,
        "Blocks of users, and of items, that are solved in parallel; no result depends on it. null"
        " makes two for each core.",
        ge=1,
    )

    def solver(self, device: str) -> Solver:
        """Exact solutions of one side at a time, by Spark's workers."""
        from cfmf.factorization.spark_als import SparkALS

        return SparkALS(**self.model_dump(exclude_none=True))
