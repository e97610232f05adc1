"""Dry runs of Snakemake, which is imported once: each is a fork of this process.

Takes one JSON line for each: the folder, the arguments, and the file for all that it prints; gives
the exit status.
"""

import json
import os
import sys
from importlib import import_module

# And what the workflow imports, except cfmf itself, which every folder has a copy of.
for name in (
    "snakemake.cli",
    "pandas",
    "pyarrow.compute",
    "pydantic",
    "jsonschema",
    "scipy.sparse",
):
    import_module(name)


def run(folder, arguments, file):
    """Run Snakemake in this process, and end the process."""
    os.chdir(folder)
    for descriptor, path in ((0, os.devnull), (1, file), (2, file)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, descriptor)
    sys.argv = ["snakemake", "--dry-run", *arguments]
    sys.path[0] = os.path.dirname(sys.executable)
    status = 1
    try:
        sys.modules["snakemake.cli"].main()
    except SystemExit as error:
        status = error.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


for line in sys.stdin:
    child = os.fork()
    if not child:
        run(*json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
