"""What all chains of a Gibbs sampler share: the ratings from every side, and what shifts priors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import sparse

from cfmf.factorization.gibbs_rows import Observed, implicit
from cfmf.neighbours.biases import Biases, fit_biases, tuned_regs
from cfmf.observed import numbered, pairs, row_numbers
from cfmf.side import Side, pair_days, stored, usual_days
from cfmf.tasks import Task


class Dates(NamedTuple):
    """Days and sessions: a session is a user's ratings of one day.

    Attributes
    ----------
    days
        As `cfmf.side.Side` has them.
    usual
        Of each user, as `cfmf.side.usual_days` has it.
    sessions
        Users × days, CSR: the sessions with a training rating are stored.
    cells
        `days` and `sessions`: of each pair of each part of a task, the day, counted from 0, and the
        place in `sessions`, which is -1 where the session is not there.
    """

    days: sparse.csr_array
    usual: np.ndarray
    sessions: sparse.csr_array
    cells: Mapping[str, Mapping[str, np.ndarray]]

    @classmethod
    def of(cls, task: Task, days: sparse.csr_array) -> Dates:
        """Those of a task."""
        usual = usual_days(days, task.train)
        count = int(max(usual.max(), days.data.max(initial=1)))
        parts = task.parts()
        at = {name: pair_days(days, usual, *pairs(part)) - 1 for name, part in parts.items()}
        ones = np.ones(task.train.nnz, np.float32)
        places = row_numbers(task.train), at["train"]
        sessions = sparse.csr_array((ones, places), shape=(task.train.shape[0], count))
        sessions.sort_indices()
        found = {
            name: stored(sessions, row_numbers(part), at[name]) for name, part in parts.items()
        }
        of_sessions = {name: np.where(known, place, -1) for name, (place, known) in found.items()}
        return cls(days, usual, sessions, {"days": at, "sessions": of_sessions})


class Known(NamedTuple):
    """What all chains of a task share.

    Attributes
    ----------
    task
        What is learned from.
    biases
        Those that the chains start from.
    users, items, days
        The training ratings by user, by item and, if days have factors, by day.
    dates
        What else the days tell, if they are known.
    """

    task: Task
    biases: Biases
    users: Observed
    items: Observed
    days: Observed | None = None
    dates: Dates | None = None

    @classmethod
    def of(cls, task: Task, sides: str, day_factors: bool, dtype: type, changing: bool) -> Known:
        """What chains share, with implicit feedback of these sides, and factors of days or none.

        `changing`: whether chains will observe other values; of dated ratings they always do.
        """
        train, side = task.train, task.side or Side()
        by_item, order = sparse.csr_array(train.T.tocsr()), None
        if side.days is not None or changing:
            order = numbered(train).T.tocsr().data
        # From biases of zero, whose precision is then drawn as in the thousands, a chain on sparse
        # ratings takes hundreds of sweeps to those that the ratings support.
        biases = fit_biases(train, *tuned_regs(train))
        users, items = Observed(train, []), Observed(by_item, [], order=order)
        for observed, attributes, with_links in (
            (users, side.users, ("users", "both")),
            (items, side.items, ("both",)),
        ):
            if sides in with_links:
                observed.links.append(implicit(observed.ratings, dtype))
            if attributes is not None:
                observed.links.append(sparse.csr_array(attributes.T.tocsr().astype(dtype)))
        dates = None if side.days is None else Dates.of(task, side.days)
        known = cls(task, biases, users, items, dates=dates)
        return known if dates is None or not day_factors else known.by_day(dates)

    def by_day(self, dates: Dates) -> Known:
        """With the ratings by day too, and the day of every rating by user and by item."""
        train, own = self.task.train, dates.cells["days"]["train"]
        order = np.argsort(own, kind="stable")
        counts = np.bincount(own, minlength=dates.sessions.shape[1])
        indptr = np.concatenate([[0], np.cumsum(counts)])
        shape = (len(counts), train.shape[0])
        given = train.data[order], row_numbers(train)[order], indptr
        by_day = Observed(sparse.csr_array(given, shape=shape), [], train.indices[order], order)
        return self._replace(
            users=self.users._replace(third=own),
            items=self.items._replace(third=own[self.items.order]),
            days=by_day,
        )
