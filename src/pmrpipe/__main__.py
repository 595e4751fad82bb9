"""`python -m pmrpipe`: the same as the `pmrpipe` command."""

import sys

from pmrpipe.cli import main

if __name__ == "__main__":
    sys.exit(main())
