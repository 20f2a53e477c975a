"""How an attempt is recorded: its outcome, its manifest once its outputs hold still, exit.json."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from .. import outputs
from ..contract import Exit, Left, Manifest, digest, dump
from ..light_dataclasses import replace
from ..pod import atomic_files, log_file
from ..pod.outcome import Outcome, StopJob
from . import manifest
from .attempt import AttemptContext
from .guard_deadline import GuardDeadline
from .job import EVICTION_SECONDS
from .manifest import Final, Hashes

TRYING_SECONDS = 60.0  # a full disk may get room again; without its record an attempt is lost
LOOK_AGAIN_TICKS = 3  # after the hashes of what was written to only now
MOVING_SETTLES = 10  # at least, for outputs that somebody writes to: the budget may be used up


class Commit:
    """The end of one attempt, from its outcome to its exit record."""

    def __init__(self, base: AttemptContext, hashes: Hashes, lease: GuardDeadline) -> None:
        self._base, self._hashes, self._lease = base, hashes, lease
        self._evicted_at: float | None = None

    def write(self, outcome: Outcome) -> None:
        """Manifest, then exit.json: the commit. Raises `StopJob` when the container stops first."""
        base = self._base
        self._keep_trying(partial(outcome.save, base.run))
        base.enter("hashing", "hashing the outputs")
        self._lease.hashing()
        outcome, outputs = self._outputs(outcome)
        data = dump(self._manifest(outputs))
        self._keep_trying(partial(atomic_files.write, base.run / "manifest.json", data))
        record = Exit(
            run=base.spec.run,
            attempt=base.attempt,
            rc=outcome.rc,
            reason=outcome.reason,
            detail=outcome.detail[:2000],
            manifest_sha256=digest(data),
            log_size=log_file.size(base.log),
            started_at=outcome.started_at,
            ended_at=time.time(),
        )
        self._keep_trying(partial(atomic_files.write, base.run / "exit.json", dump(record)))
        self._lease.ended()

    def _manifest(self, final_survey: Final) -> Manifest:
        """What travels, what does not, and what is as it was sent."""
        base, survey = self._base, final_survey.survey
        left = [
            *survey.left,
            *(Left(path, "somebody still wrote to it") for path in final_survey.moving),
            *(Left(path, "it cannot be read") for path in final_survey.unreadable),
        ]
        return Manifest(
            base.spec.run,
            base.attempt,
            True,
            final_survey.entries,
            left=tuple(left[: outputs.MAX_NAMED]),
            notes=survey.notes,
            beyond=survey.beyond + len(left[outputs.MAX_NAMED :]),
            untouched=manifest.untouched(base.run, base.spec.outputs, final_survey.entries),
        )

    def _outputs(self, outcome: Outcome) -> tuple[Outcome, Final]:
        """Every output; a job that left out a declared one did not succeed."""
        survey = self._settled()
        paths = [*(e.path for e in survey.entries), *survey.moving, *survey.unreadable]
        absent = outputs.missing(self._base.spec.outputs, paths)
        wrong = []
        if absent and not survey.survey.left:  # which may be what seems absent
            wrong.append(f"nothing is at {', '.join(absent)}")
        if survey.moving:
            wrong.append(f"somebody still writes to {_some(survey.moving)}")
        if wrong and outcome.rc == 0:
            text = f"the job returned 0, but {' and '.join(wrong)}"
            return replace(outcome, rc=1, detail=text), survey
        return outcome, survey

    def _settled(self) -> Final:
        """The outputs once all hold still, or the time for it is over. Raises `StopJob`.

        What keeps a file changing now is no process of the job's on this pod.
        """
        base, began = self._base, time.monotonic()
        survey = partial(manifest.final, self._hashes, base.spec.outputs, self._pause)
        current = survey()
        # What held still while it was hashed has already been looked at twice.
        again = LOOK_AGAIN_TICKS * base.pace.tick - current.held_seconds
        if not current.moving and (again <= 0 or not self._hashes.fresh(base.pace.settle)):
            return current
        wait = base.pace.settle if current.moving else again
        while True:
            self._wait(wait)
            earlier, current, wait = current, survey(), base.pace.settle
            changes = current.since(earlier)
            if not changes.moving or self._over(began):
                return changes
            base.pulse.text = f"waiting: somebody still writes to {_some(changes.moving)}"

    def _wait(self, seconds: float) -> None:
        due = time.monotonic() + seconds
        while time.monotonic() < due:
            self._pause()
            self._base.breathe()

    def _over(self, began: float) -> bool:
        """Whether the budget, or a word of the user's, ended it. Raises a resumable `StopJob`."""
        try:
            self._base.watch.poll()
        except StopJob as halt:
            if halt.resumable:
                raise
            return time.monotonic() - began > MOVING_SETTLES * self._base.pace.settle
        return False

    def _pause(self) -> None:
        """Between two chunks, in any thread."""
        self._base.pulse.tick()
        self._lease.hashed()
        if self._base.watch.evicted():
            self._evicted_at = self._evicted_at or time.monotonic()
            if time.monotonic() - self._evicted_at > EVICTION_SECONDS:
                raise StopJob("evicted", "the container stopped while its outputs were hashed")

    def _keep_trying(self, write: Callable[[], None]) -> None:
        deadline = time.monotonic() + TRYING_SECONDS
        while True:
            try:
                write()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                self._base.breathe()
            else:
                return


def _some(paths: tuple[str, ...]) -> str:
    """A few of them, in plain ASCII."""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(f"{path!a}" for path in paths[:3]) + more
