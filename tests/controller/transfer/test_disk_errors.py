"""A disk that is full or broken, at the n-th call of the database."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from state.database import open_database
from state.journal import Journal

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 120.0

# One owner's life: taking over, a debt, three actions with their outcomes, a copy, the end.
_LIFE = """
import sys
from pathlib import Path
from state.database import backup
from state.errors import StateError
from state.journal import Journal
from state.project_lock import acquire

try:
    with acquire(Path(sys.argv[1]), "test") as owner:
        journal = Journal(owner.connection, owner.epoch)
        lease = journal.open_lease({})
        for _ in range(3):
            intent = journal.intent(lease, "create", {"text": "x" * 3000})
            print(intent, flush=True)
            print(journal.done(intent), flush=True)
        backup(owner.connection, owner.folder / "backups")
        journal.close_lease(lease, "over")
except StateError as error:
    print(f"refused: {error.what}; {error.hint}", file=sys.stderr)
    sys.exit(1)
"""


def live(folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """One life in `folder`, under the command `before`."""
    return subprocess.run(
        [*before, sys.executable, "-c", _LIFE, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def calls(log: str, name: str) -> int:
    return len(re.findall(rf"^{name}\(", log, re.MULTILINE))


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_row_33_a_full_or_broken_disk_fails_loudly_and_the_next_try_is_clean(
    tmp_path: Path,
) -> None:
    """ENOSPC at a write and EIO at a sync, at five places of an owner's life: an error with its
    cause and no traceback, everything that was confirmed is there, and the rerun goes through."""
    log = tmp_path / "calls"
    traced = live(tmp_path / "counted", "strace", "-o", str(log), "-e", "trace=pwrite64,fdatasync")
    assert traced.returncode == 0, traced.stderr
    refused = 0
    for name, error in (("pwrite64", "ENOSPC"), ("fdatasync", "EIO")):
        count = calls(log.read_text(), name)
        assert count > 10
        for when in (1, count // 4, count // 2, 3 * count // 4, count):
            folder = tmp_path / f"{name}-{when}"
            fault = f"inject={name}:error={error}:when={when}"
            hit = live(folder, "strace", "-o", "/dev/null", "-e", f"trace={name}", "-e", fault)
            again = live(folder)

            assert "Traceback" not in hit.stderr
            assert hit.returncode == 0 or "refused: " in hit.stderr
            refused += hit.returncode
            assert again.returncode == 0, again.stderr
            confirmed = {int(line) for result in (hit, again) for line in result.stdout.split()}
            journal = Journal(open_database(folder / "state.db"))
            written = {op.seq for lease in journal.leases() for op in journal.ops(lease.id)}
            assert confirmed <= written
            assert journal.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            journal.connection.close()
    assert refused >= 8
