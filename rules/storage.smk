"""What is different where jobs share no file system and results are in a storage."""

from snakemake.io import flag
from snakemake.path_modifier import PATH_MODIFIER_FLAG

from cfmf.workflow.storage import decide_storage, uses_storage


def retrieved(path):
    """The path of a checkpoint's output, which Snakemake retrieves first if it is in a storage."""
    with path.open():
        return path


def packaged(paths):
    """Package files, which every job has: Snakemake sends them along. No prefix belongs to them.

    Marked as `local`, they would make every job run where Snakemake does. That is right for the
    files that a config names, which no other machine has.
    """
    return flag(paths, PATH_MODIFIER_FLAG)


def updated(path):
    """`update`, except in a storage: Snakemake 9.27 cannot back up a file that is not here."""
    return path if uses_storage() else update(path)


try:
    decide_storage(
        workflow.storage_settings.default_storage_provider,
        any(map(plan.is_open, plan.datasets)),
    )
except ValueError as error:
    raise WorkflowError(str(error)) from None
