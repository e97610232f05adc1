"""What rules wait for: the plan before a method is scored on test, the winner, queried pairs."""

from cfmf.workflow import sealed
from cfmf.workflow.plan import winner_of


def scoring_plan(wildcards):
    """The plan that a rule waits for before it scores on test; of sealed folds, that of the config.

    It has to be the frozen one there, while another config trains nothing again elsewhere.
    """
    name = "plan" if plan.is_open(wildcards.dataset) else "first_plan"
    return result(name, dataset=wildcards.dataset)


def of_winner(name, **wildcards):
    """An input function: a result of the method that wins on each data set."""
    return lambda _: [
        path
        for dataset in plan.datasets
        for path in filled(
            result(name, dataset=dataset),
            method=winner_of(
                retrieved(checkpoints.choose_winner.get(dataset=dataset).output[0])
            ),
            **wildcards,
        )
    ]


def queried_pairs(wildcards):
    """The file of pairs that the config has predictions made of."""
    if not config["models"]["pairs"]:
        raise WorkflowError(
            "The config names no pairs to predict: set models.pairs to a file with the columns"
            " user and item."
        )
    return local(config["models"]["pairs"])


def refuse_rescoring(jobs):
    """Stop before Snakemake deletes what jobs have scored of sealed folds, which they do once."""
    for job in jobs:
        if job.log and (
            folds := sealed.sealed_folds_of(job.rule.name, job.log[0], config)
        ):
            try:
                sealed.refuse_second(job.log[0], folds)
            except ValueError as error:
                raise WorkflowError(str(error)) from None
