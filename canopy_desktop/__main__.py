"""`python -m canopy_desktop`: the commands that need no window."""

from __future__ import annotations

import sys

from canopy_desktop.cli import main

if __name__ == "__main__":
    sys.exit(main())
