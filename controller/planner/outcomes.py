"""Outcomes of runs that went to their end, with the words that a message has for them."""

from __future__ import annotations

COMPLETE = {
    "passed": "passed",
    "criteria": "went to its end, and its criteria were not met",
}
