"""Trainings that can be trusted: several starts where they matter, and refits that catch up.

The objective of a factorization has saddles and several minima. What a training reaches depends on
its start, most of all with few factors. Two rules, the same for every method that declares
`several_starts`, and with a fixed cost:

1. With at most `SMALL_K` factors, training on the fit part begins from a second start; and from a
   third where the losses of the first two differ. The start with the lowest validation RMSE is
   kept, a later one only if its RMSE is lower by more than `SAME`.
2. The training on all training ratings must reach the loss, within `BEHIND`, that the solution
   found on the fit part has on these same ratings. One that does not is repeated from other starts,
   then from that solution, whose epoch with the lowest loss is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from cfmf.methods.base import Method
from cfmf.tasks import Fitted, Task

STARTS = 3
FROM_FIT = STARTS  # number of the start at the solution found on the fit part
SMALL_K = 4
SAME = 1e-3
"""Share of a loss or an RMSE below which two trainings are taken to have found the same."""

BEHIND = 5e-3
"""Share of a loss by which a training stopped early may be behind, as its start has it."""

Train = Callable[[Sequence[Task], str], list[Fitted]]
"""Trains tasks, of which a checkpoint is kept under this name."""


def best_starts(method: Method, tasks: Sequence[Task], train: Train) -> list[Fitted]:
    """Train tasks on their fit parts, from several starts where the rule wants them.

    The `seconds` of a task are for all its starts together.

    Returns
    -------
    The kept training of each task, with the number of its start and of all starts.
    """
    found = train(tasks, "fit")
    if not method.several_starts or method.model_dump()["k"] > SMALL_K:
        return found
    losses = [[_loss(one)] for one in found]
    spent = [_seconds(one) for one in found]
    for number in range(1, STARTS):
        open_ = [
            at
            for at, task in enumerate(tasks)
            if (number == 1 or np.ptp(losses[at]) > SAME * min(losses[at]))
            and not found[at].out_of_time
            and (task.seconds is None or spent[at] < task.seconds)
        ]
        if not open_:
            break
        others = train([from_start(tasks[at], number, spent[at]) for at in open_], f"fit-{number}")
        for at, other in zip(open_, others, strict=True):
            losses[at].append(_loss(other))
            spent[at] += _seconds(other)
            found[at] = _better(found[at], replace(other, start=number))
    return found


def reach(tasks: Sequence[Task], fits: Sequence[Fitted], train: Train) -> list[Fitted]:
    """Train tasks on all training ratings until each is as far as the solution on its fit part.

    Parameters
    ----------
    tasks
        With the number of epochs that the training on fit led to.
    fits
        That training of each task.

    Returns
    -------
    The kept training of each task; it has converged where that on fit had.

    Raises
    ------
    FloatingPointError
        If a training ends at a higher loss, from whatever start.
    """
    first = [from_start(task, fit.start) for task, fit in zip(tasks, fits, strict=True)]
    found = [
        replace(one, start=fit.start, converged=fit.converged)
        for one, fit in zip(train(first, "refit"), fits, strict=True)
    ]
    goals = [_loss(one) for one in train(_solutions(tasks, fits), "goal")]
    orders = [_order(fit.start) for fit in fits]
    for number in range(1, STARTS + 1):
        behind = [at for at, one in enumerate(found) if not _reached(one, goals[at])]
        if not behind:
            break
        starts = [orders[at][number] for at in behind]
        again = [
            replace(tasks[at], start=fits[at].model)
            if start == FROM_FIT
            else from_start(tasks[at], start)
            for at, start in zip(behind, starts, strict=True)
        ]
        others = train(again, f"refit-{number}")
        for at, start, other in zip(behind, starts, others, strict=True):
            better = replace(found[at], starts=found[at].starts + 1)
            if _loss(other) < _loss(better):
                better = replace(
                    other, start=start, starts=better.starts, converged=better.converged
                )
            found[at] = better
    _check(tasks, found, goals)
    return found


def _solutions(tasks: Sequence[Task], fits: Sequence[Fitted]) -> list[Task]:
    """Tasks that measure what the solutions found on fit give, without an epoch."""
    return [
        replace(task, start=fit.model, epochs=0, test=None)
        for task, fit in zip(tasks, fits, strict=True)
    ]


def _order(first: int) -> list[int]:
    """Numbers of the starts in the order in which they are tried."""
    return [first, *(number for number in range(STARTS) if number != first), FROM_FIT]


def _check(tasks: Sequence[Task], found: Sequence[Fitted], goals: Sequence[float]) -> None:
    for task, one, goal in zip(tasks, found, goals, strict=True):
        if not _reached(one, goal):
            raise FloatingPointError(
                f"{task.name}: training on all training ratings ended at a loss of {_loss(one):.6g}"
                f" or more from {one.starts} starts, above the {goal:.6g} of the solution found on"
                " the fit part; lower learning_rate, raise max_epochs, or leave this point out"
            )


def from_start(task: Task, number: int, spent: float = 0.0) -> Task:
    """The task from one of its `STARTS` random starts, of which 0 has its own seed.

    `spent` seconds of its time are over.
    """
    left = None if task.seconds is None else task.seconds - spent
    if number == 0:
        return replace(task, seconds=left)
    [drawn] = np.random.SeedSequence([task.seed, number]).generate_state(1)
    return replace(task, seed=int(drawn >> 1), seconds=left)


def _better(first: Fitted, second: Fitted) -> Fitted:
    """The fit with the lower validation RMSE, the first where they are about the same."""
    errors = [one.history["validation_rmse"].to_numpy()[_kept(one)] for one in (first, second)]
    chosen = second if errors[1] < errors[0] * (1 - SAME) else first
    late = first.out_of_time or second.out_of_time
    return replace(chosen, starts=first.starts + 1, out_of_time=late)


def _reached(one: Fitted, goal: float) -> bool:
    return not _loss(one) > goal * (1 + BEHIND)


def _kept(one: Fitted) -> int:
    """Row of the history that the model is of."""
    return int(np.searchsorted(one.history["epoch"], one.epochs))


def _loss(one: Fitted) -> float:
    """Loss of the kept model; NaN of a training without a curve."""
    return float(one.history["loss"].to_numpy()[_kept(one)]) if len(one.history) else np.nan


def _seconds(one: Fitted) -> float:
    return float(one.history["seconds"].iloc[-1]) if len(one.history) else 0.0
