"""Client of the agent on a pod: its verbs, and the guard's report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from controller.agent.log_position import Chunk
from controller.credentials.secret import Secret
from controller.errors import ConnectionLost, PodctlError
from controller.terminal.sanitize import clean, clean_line
from remote import contract
from remote.contract import ContractError, GuardReport, JobSpec, Layout, Status

if TYPE_CHECKING:
    from controller.ssh.session import Session
    from controller.ssh.stream import Result

VERB_SECONDS = 60.0
START_SECONDS = 120.0
LOG_CHUNK = 4 * 1024 * 1024  # bytes of log fetched by one request
OFFSETS = 2**63  # upper bound of file offsets
# Works before podctl's code is on the pod: prints the monotonic clock and the guard's report.
_READ_GUARD = (
    "import os,sys,time;path=next(filter(os.path.exists,sys.argv[1:]));"
    "print(time.monotonic(),open(path).read(1<<20))"
)

# Before that: the guard's note about the warm pod goes, and a controller counts as having come.
_NOT_HELD_OFF = 70  # exit code: that failed
_HOLD_OFF = (
    'n=$1; shift; while [ "$n" -gt 0 ]; do if [ -f "$1/boot.json" ]; then '
    f'rm -f "$1/warm.json" && touch "$1/beat" || exit {_NOT_HELD_OFF}; fi; '
    'shift; n=$((n - 1)); done; exec "$@"'
)


class CommandRefused(PodctlError):
    """The agent, or the shell that starts it, refused the command."""

    code = "agent-refused"


class AgentClient:
    """Calls the agent of one code package on one pod."""

    def __init__(self, session: Session, layout: Layout, code: str) -> None:
        self._session = session
        self._layout = layout
        self._code = code

    def present(self) -> bool:
        """Whether podctl's code is on the pod's disk."""
        return self._session.run(["test", "-d", str(self._layout.code(self._code))]).status == 0

    def start(self, spec: JobSpec, *, again: bool = False) -> Status:
        """Start the job. If it is already running, its status is returned; it is never started
        twice."""
        arguments = ["start", *(["--again"] if again else [])]
        return self._status(arguments, stdin=contract.dump(spec), seconds=START_SECONDS)

    def status(self, run: str, *, seen: str = "", wait_seconds: float = 0.0) -> Status:
        """The present status; with `seen`, the first one that has another mark, or the present
        one after `wait_seconds`."""
        arguments = ["status", "--run", run]
        if seen and wait_seconds > 0:
            arguments += ["--wait", f"{wait_seconds:.2f}", "--seen", seen]
        return self._status(arguments, seconds=VERB_SECONDS + wait_seconds)

    def stop(self, run: str, reason: str) -> Status:
        """Request that the job saves a checkpoint and ends."""
        return self._status(["stop", "--run", run, "--reason", reason], seconds=START_SECONDS)

    def keep_warm(self, run: str, seconds: float, then: str) -> Status:
        """Have the guard end the pod after `seconds`, unless another run uses it before."""
        words = ["warm", "--run", run, "--seconds", f"{seconds:.0f}", "--then", then]
        return self._status(words)

    def secrets(self, run: str, values: Mapping[str, Secret]) -> None:
        """Send the job's secrets over stdin, so that no disk, argv or environment holds them."""
        document = {name: value.reveal() for name, value in values.items()}
        self._run(["secrets", "--run", run], stdin=json.dumps(document).encode()).check(
            "sending the job's secrets"
        )

    def settings(self, run: str, document: Mapping[str, object]) -> None:
        """Send the settings for installing the run's environment, over stdin too."""
        self._run(["settings", "--run", run], stdin=json.dumps(document).encode()).check(
            "sending the install settings"
        )

    def log(self, run: str, offset: int, limit: int = LOG_CHUNK) -> Chunk:
        """Log bytes from `offset`, or from the current begin of the log if its head was deleted."""
        arguments = ["log", "--run", run, "--offset", str(offset), "--limit", str(limit)]
        raw = self._run(arguments, cap=LOG_CHUNK + 4096).stdout
        head, _, body = raw.partition(b"\n")
        try:
            header = json.loads(head)
            chunk = Chunk(header["offset"], body, header["size"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConnectionLost("could not parse the agent's response to a log request") from error
        if not _is_valid(chunk, offset):
            raise ConnectionLost(
                "could not parse the agent's response to a log request",
                where=run,
                cause="it begins before the requested offset, or ends beyond the log's size",
            )
        return chunk

    def document(self, run: str, name: str) -> bytes:
        """Return one of the run's documents as bytes; empty when it does not exist."""
        return read_file(self._session, str(self._layout.run(run) / name))

    def _status(
        self, arguments: list[str], *, stdin: bytes = b"", seconds: float = VERB_SECONDS
    ) -> Status:
        result = self._run(arguments, stdin=stdin, seconds=seconds, cap=contract.cap(Status))
        if result.status != 0:
            raise CommandRefused(
                f"the agent refuses to {arguments[0]}",
                where=f"exit code {result.status}",
                cause=clean(result.stderr[-2000:]).strip(),
                hint="podctl logs, or podctl ssh to look at the pod",
            )
        try:
            return plain(contract.load(Status, result.stdout))
        except ContractError as error:
            raise PodctlError(
                "could not parse the agent's response",
                where=f"agent {arguments[0]}",
                cause=f"{error}; {clean(result.stderr[-2000:])}",
                hint="podctl logs, or podctl ssh to look at the pod",
            ) from error

    def _run(
        self,
        arguments: list[str],
        *,
        stdin: bytes = b"",
        seconds: float = VERB_SECONDS,
        cap: int = contract.MAX_DOCUMENT,
    ) -> Result:
        verb, *options = arguments
        argv = ["python3", "-S", "-m", "remote.agent", verb, "--root", str(self._layout.root)]
        return self._session.run(
            [*argv, *options],
            stdin=stdin,
            cwd=self._layout.code(self._code),
            deadline_seconds=seconds,
            cap=cap,
        )


def plain(status: Status) -> Status:
    """The same report, each value on one line and without control characters."""
    exit_record, guard = status.exit, status.guard
    text = status.progress.text
    return replace(
        status,
        phase=clean_line(status.phase),
        progress=replace(status.progress, text=clean_line(text) if text else None),
        exit=exit_record
        and replace(
            exit_record,
            reason=clean_line(exit_record.reason),
            detail=clean_line(exit_record.detail),
        ),
        guard=guard
        and replace(guard, detail=clean_line(guard.detail), phase=clean_line(guard.phase)),
    )


def _is_valid(chunk: Chunk, offset: int) -> bool:
    """Whether the response is consistent; a log shorter than `offset` returns no bytes."""
    are_integers = type(chunk.start) is int and type(chunk.size) is int
    if not are_integers or not offset <= chunk.start < OFFSETS or not 0 <= chunk.size < OFFSETS:
        return False
    return not chunk.data or chunk.end <= chunk.size


def guard_report(session: Session, *, hold_off: bool = False) -> GuardReport | None:
    """The guard's report; None if there is none or it cannot be parsed.

    A kept disk may hold the report of an earlier boot: without updates it counts as not armed.
    With `hold_off` the guard is not to end a warm pod now, which another run uses.
    """
    folders = [f"{session.root}{folder}" for folder in contract.LOCAL]
    argv = ["python3", "-S", "-c", _READ_GUARD, *(f"{folder}/guard.json" for folder in folders)]
    if hold_off:
        argv = ["sh", "-c", _HOLD_OFF, "sh", str(len(folders)), *folders, *argv]
    result = session.run(argv, cap=contract.cap(GuardReport) + 64)
    if hold_off and result.status == _NOT_HELD_OFF:
        result.check("using the warm pod")
    now, _, raw = result.stdout.partition(b" ")
    try:
        report = contract.load(GuardReport, raw)
        written_at = contract.number(json.loads(raw).get("monotonic"))
        return None if written_at is None else report.aged(float(now) - written_at)
    except (ContractError, ValueError):
        return None


def read_file(session: Session, path: str, cap: int = contract.MAX_DOCUMENT) -> bytes:
    """Return at most `cap` + 1 bytes of a file on the pod; empty when it cannot be read."""
    return session.run(["head", "-c", str(cap + 1), path], cap=cap + 1).stdout
