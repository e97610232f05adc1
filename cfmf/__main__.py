"""`python -m cfmf` is the command `cfmf`."""

import sys

from cfmf.cli import main

if __name__ == "__main__":
    sys.exit(main())
