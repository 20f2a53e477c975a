"""The entry point of a stage that has none yet: it fails, and says so, before anything is spent.

python -m remote.stages.unbuilt stage1a
"""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    stage = arguments[0] if arguments else "this stage"
    sys.stderr.write(
        f"{stage} has no program of its own in this version of podctl, and nothing was done.\n"
        f"Give it one: in podctl.toml, [stages.{stage}] command = [...] that writes its outputs.\n"
    )
    return 78  # EX_CONFIG


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
