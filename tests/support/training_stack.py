"""Tests that need the training stack: one worker runs them, since importing it takes many seconds.

Whether it is installed is found out without importing it, for every worker reads every test.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

# Fastest at the small model's size, and more so beside another worker; torch reads it at import.
os.environ["OMP_NUM_THREADS"] = "1"

STACK = ("torch", "transformers", "peft", "trl", "safetensors", "scipy", "statsmodels")
MISSING = [name for name in STACK if find_spec(name) is None]

needed = pytest.mark.skipif(
    bool(MISSING), reason=f"the training stack is not installed: {', '.join(MISSING)}"
)
ON_ONE_WORKER = [
    needed,
    pytest.mark.xdist_group("training"),
    pytest.mark.timeout(900),  # a training of seconds on a machine that is busy with much else
]
