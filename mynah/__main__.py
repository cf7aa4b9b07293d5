"""The command line, as `python -m mynah`."""

import sys

from mynah.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
