"""`python -m cfmf` is the command `cfmf`."""

import sys

from cfmf.cli import main

sys.exit(main())
