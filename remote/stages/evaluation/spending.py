"""Reads what the plan cost so far from podctl's summary, and adds the running stage.

Only podctl knows prices: it puts a summary of its ledger into the work folder. The final cost of
this run is in its certificate; the report has the cost until now, in US dollars.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ...contract import ENV_RUN_DIR
from ...usage import summarise
from ..common.failure import StageError
from ..common.layout import PLAN_SO_FAR


def read_spending(began: float) -> dict[str, Any] | None:
    """The plan so far, with this run since `began` in it; None without podctl's summary.

    Raises: StageError for a file that is not what podctl writes.
    """
    if not PLAN_SO_FAR.is_file():
        return None
    try:
        plan = json.loads(PLAN_SO_FAR.read_bytes())
        rows, own = list(plan["stages"]), str(plan["stage"])
        rate = float(plan["usd_per_hour"])
        known = all(isinstance(row, dict) and "name" in row for row in rows)
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise StageError(
            f"{PLAN_SO_FAR}: not what podctl writes: {error}", remedy="podctl sync"
        ) from error
    if not known:
        raise StageError(f"{PLAN_SO_FAR}: a stage without a name", remedy="podctl sync")
    hours = max(0.0, time.time() - began) / 3600
    for row in rows:
        if row["name"] == own:
            row["hours"] = round(float(row.get("hours") or 0) + hours, 4)
            row["usd"] = round(float(row.get("usd") or 0) + hours * rate, 4)
            row["usage"] = _own_usage()
            row["unfinished"] = True
    return {**plan, "stages": rows}


def _own_usage() -> dict[str, Any] | None:
    folder = os.environ.get(ENV_RUN_DIR)
    path = Path(folder, "samples.jsonl") if folder else None
    return summarise(path.read_bytes()) if path and path.is_file() else None
