"""Makes `python -m ase_learnedopt.cli` the command. Layer 4."""

import sys

from . import main

if __name__ == "__main__":
    sys.exit(main())
