"""Outcomes of runs that ran to their end, with their wording in messages."""

from __future__ import annotations

COMPLETE = {
    "passed": "passed",
    "criteria": "went to its end, and its criteria were not met",
}
