"""What all chains of a Gibbs sampler share: the ratings from every side, and what shifts priors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import sparse

from cfmf.factorization.gibbs_rows import Observed, implicit
from cfmf.neighbours.biases import Biases, fit_biases, tuned_regs
from cfmf.observed import pairs, row_numbers
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
    part_days
        The day of each pair of each part of a task, int32, counted from 0.
    sessions
        Users × days, CSR: the sessions with a training rating are stored.
    part_sessions
        The place in `sessions` of each pair of each part; -1 of one whose session is not there.
    """

    days: sparse.csr_array
    usual: np.ndarray
    part_days: Mapping[str, np.ndarray]
    sessions: sparse.csr_array
    part_sessions: Mapping[str, np.ndarray]

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
        part_sessions = {name: np.where(known, place, -1) for name, (place, known) in found.items()}
        return cls(days, usual, at, sessions, part_sessions)


class Known(NamedTuple):
    """What all chains of a task share.

    Attributes
    ----------
    task
        What is learned from.
    biases
        Those that the chains start from.
    users, items, days
        The training ratings by user, by item and, if days are known, by day.
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
    def of(cls, task: Task, sides: str, dtype: type) -> Known:
        """What chains share, with implicit feedback of these sides."""
        train, side = task.train, task.side or Side()
        places = sparse.csr_array((np.arange(train.nnz), train.indices, train.indptr), train.shape)
        by_item = sparse.csr_array(places.T.tocsr())
        order = by_item.data
        by_item.data = train.data[order]
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
        known = cls(task, biases, users, items)
        return known if side.days is None else known.with_dates(Dates.of(task, side.days))

    def with_dates(self, dates: Dates) -> Known:
        """With the day of every rating too."""
        train, own = self.task.train, dates.part_days["train"]
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
            dates=dates,
        )
