"""Progress output while a lease is driven: one line for each change, and one updating line."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from controller.clock import Clock
from controller.leases.moving_line import MovingLine
from controller.leases.progress_line import job_line, wait_line
from controller.planner import actions
from controller.planner.actions import Action
from controller.planner.job_progress import JobProgress
from controller.planner.observation import Observation
from controller.providers.offers import priced
from controller.terminal.terminal import Terminal
from controller.transfer.progress import TransferProgress


@dataclass
class View:
    """Shows every observation and action on the terminal."""

    terminal: Terminal
    clock: Clock
    _last: str = ""
    _why: str = ""  # what is waited for
    _why_since: float = 0.0
    _phase: str = ""
    _job: str = ""  # run and attempt that `_pace` is of
    _pace: JobProgress = field(default_factory=JobProgress)
    _pulled: tuple[int, int] = (0, 0)  # files and bytes that came while the job went on
    _line: MovingLine = field(init=False)

    def __post_init__(self) -> None:
        self._line = MovingLine(self.terminal, self.clock)

    def __call__(self, observation: Observation, action: Action) -> None:
        self._line.next_action()
        if isinstance(action, actions.Wait):
            self._wait(observation, action)
            return
        self._why = ""
        if text := describe(observation, action):
            self._say(text)

    def message(self, text: str) -> None:
        """Show a message, unless it was the last one shown."""
        self._say(text)

    def brought(self, files: int, size: int) -> None:
        """Count files that were downloaded while the job runs; they are shown as a total."""
        self._pulled = (self._pulled[0] + files, self._pulled[1] + size)

    def moved(self, what: str, progress: TransferProgress) -> None:
        """Show the progress of a transfer or of reading files."""
        self._line.moved(what, progress)

    def _say(self, text: str) -> None:
        if text != self._last:
            self._last = text
            self.terminal.say(text)

    def _wait(self, observation: Observation, action: actions.Wait) -> None:
        status = observation.job.contact.status if observation.job.contact else None
        run = observation.lease.current
        if status is None or run is None or not run.started:
            self._idle(observation.now, action)
            return
        if status.phase != self._phase:
            self._phase = status.phase
            self._say(f"{run.run}: {status.phase or status.state}")
        if self._job != (job := f"{run.run} {status.attempt}"):
            self._job, self._pace = job, JobProgress()
        self._pace.see(status.progress.step, observation.now)
        line = partial(
            job_line, run, status, observation, self._pace, pulled=self._pulled, until=action.until
        )
        self._line.show(line(width=self.terminal.width), line())

    def _idle(self, now: float, action: actions.Wait) -> None:
        if action.why != self._why:
            self._why, self._why_since = action.why, now
        left = None if action.until is None else action.until - now
        self._line.show(wait_line(action.why, now - self._why_since, left))


def describe(observation: Observation, action: Action) -> str:
    """An action as text; empty for actions that only the journal records."""
    lease_state = observation.lease
    match action:
        case actions.Create(offer):
            return f"renting {priced(offer)}"
        case actions.Adopt(pod):
            return f"found pod {pod} of an unconfirmed create; using it"
        case actions.RecordPod(pod):
            return (
                f"pod {pod} has this project's nonce but no create is recorded; "
                "adding it to the ledger"
            )
        case actions.Terminate(pod, reason):
            return f"terminating pod {pod} ({reason})"
        case actions.ConfirmGone(pod):
            return f"pod {pod} is gone and no longer bills"
        case actions.StartPod(pod):
            return f"starting pod {pod} again"
        case actions.RecordRestart(pod):
            return f"pod {pod} runs again and bills"
        case actions.KeepWarm(pod, _, seconds):
            return f"pod {pod} is to stay warm for {seconds / 60:.0f} min"
        case actions.StopPod(pod):
            return f"stopping pod {pod}; its volume is kept and keeps billing"
        case actions.ConfirmParked(pod):
            return f"pod {pod} is stopped: only its disk bills"
        case actions.MarkReached(pod):
            return f"pod {pod} answers over SSH"
        case actions.Upload(run):
            return f"{run}: uploading code and inputs"
        case actions.StartJob(run, again, _, why):
            return f"{run}: starting the job{' again' if again else ''}{f' ({why})' if why else ''}"
        case actions.StopJob(run, reason):
            return f"{run}: stopping the job ({reason})"
        case actions.RejectHost(run, why):
            return f"{run}: rejecting this host ({why})"
        case actions.RestartRun(run, why):
            return f"{run}: restarting from the downloaded files ({why})"
        case actions.Pull(run):
            return f"{run}: pulling the artifacts"
        case actions.Judge(run):
            return f"{run}: checking the criteria"
        case actions.Lock(run):
            return f"{run}: PASS, locking"
        case actions.Finish(run, outcome, why):
            return f"{run}: {outcome}" + (f" ({why})" if why else "")
        case actions.Close(outcome):
            return f"lease {lease_state.lease} is closed: {outcome}"
        case _:
            return ""
