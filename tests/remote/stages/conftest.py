"""Tests of the stage programs import them, and those import the training stack."""

from __future__ import annotations

from tests.support.training_stack import MISSING

# Without the stack these cannot be imported; the others skip themselves.
NEED_IT_AT_IMPORT = ["test_evaluate_stage.py", "test_sft_data.py", "test_sft_stage.py"]
collect_ignore = NEED_IT_AT_IMPORT if MISSING else []
