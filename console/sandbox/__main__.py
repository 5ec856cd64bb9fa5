"""`python -m console.sandbox run|status|break|mend`; `manage.py sandbox …` is the same."""

import sys

from console.sandbox.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
