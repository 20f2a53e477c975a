"""Wrong clocks: what is waited for and what is booked does not hang on this machine's calendar."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime (Debian package faketime)")
def test_row_37_a_clock_a_year_ahead_that_jumps_back_two_years_changes_no_bill(
    laptop: Laptop, tmp_path: Path
) -> None:
    """The run goes on, nothing is stopped for a budget that only the calendar exceeded, the ledger
    is the provider's bill, and how far the clock is off is told."""
    laptop.write(seconds=3)
    calendar = tmp_path / "calendar"
    calendar.write_text("+365d\n")
    laptop.environment = {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(calendar),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with laptop.held():
        process = laptop.start("run", "hello", "-y")
        until(lambda: list(laptop.cloud.state_dir.rglob("runs/hello-0001/attempt.json")), 90)
        beside = calendar.with_name("next")
        beside.write_text("-365d\n")
        os.replace(beside, calendar)
    _, err = process.communicate(timeout=120)
    laptop.environment = {}

    assert process.returncode == 0, err
    assert "ahead of the provider's" in err
    assert (laptop.folder / "locks" / "hello.json").exists()
    assert laptop.living_pods() == []
    laptop.assert_books_agree()
