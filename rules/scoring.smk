"""Before a method is scored on test ratings: the plan, and the seal of sealed folds."""

from cfmf.workflow import sealed


def scoring_plan(wildcards):
    """The plan that a rule waits for before it scores on test; of sealed folds, that of the config.

    It has to be the frozen one there, while another config trains nothing again elsewhere.
    """
    name = "plan" if plan.is_open(wildcards.dataset) else "first_plan"
    return result(name, dataset=wildcards.dataset)


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
