"""`python -m controller` and the `podctl` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run podctl with the process's arguments and exit with its code."""
    from controller.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
