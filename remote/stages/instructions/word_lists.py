"""Word lists of the instruction sets: JSON files beside the modules that use them.

The order of a list matters: instructions are drawn from it by seed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_words(path: Path) -> Any:
    """The content of the JSON file at `path`, in the order of the file."""
    return json.loads(path.read_text(encoding="utf-8"))
