"""What a person sees while a lease is driven: one line a change, and a line that moves."""

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
from controller.terminal.terminal import Terminal
from controller.transfer.progress import TransferProgress


@dataclass
class View:
    """Told of every look and every action."""

    terminal: Terminal
    clock: Clock
    verbose: bool = True
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

    def __call__(self, seen: Observation, action: Action) -> None:
        self._line.next_action()
        if isinstance(action, actions.Wait):
            self._wait(seen, action)
            return
        self._why = ""
        if text := _sentence(seen, action):
            self._say(text)

    def tell(self, text: str) -> None:
        """A remark of the hands."""
        self._say(text)

    def brought(self, files: int, size: int) -> None:
        """Finished files came while the job goes on: counted, not told one by one."""
        self._pulled = (self._pulled[0] + files, self._pulled[1] + size)

    def moved(self, what: str, progress: TransferProgress) -> None:
        """Files are on their way, or being read."""
        self._line.moved(what, progress)

    def _say(self, text: str) -> None:
        if text != self._last:
            self._last = text
            self.terminal.say(text)

    def _wait(self, seen: Observation, action: actions.Wait) -> None:
        status = seen.job.contact.status if seen.job.contact else None
        run = seen.lease.current
        if status is None or run is None or not run.started:
            self._idle(seen.now, action)
            return
        if status.phase != self._phase:
            self._phase = status.phase
            self._say(f"{run.run}: {status.phase or status.state}")
        if self._job != (job := f"{run.run} {status.attempt}"):
            self._job, self._pace = job, JobProgress()
        self._pace.see(status.progress.step, seen.now)
        line = partial(
            job_line, run, status, seen, self._pace, pulled=self._pulled, until=action.until
        )
        self._line.show(line(width=self.terminal.width), line())

    def _idle(self, now: float, action: actions.Wait) -> None:
        if action.why != self._why:
            self._why, self._why_since = action.why, now
        left = None if action.until is None else action.until - now
        self._line.show(wait_line(action.why, now - self._why_since, left))


def _sentence(seen: Observation, action: Action) -> str:
    """An action in words; empty for what only the journal needs to know."""
    lease_state = seen.lease
    match action:
        case actions.Create(offer):
            where = f"{offer.count} x {offer.name}" if offer.kind == "gpu" else offer.name
            return f"renting {where} at ${offer.usd_per_hour:.2f}/h"
        case actions.Adopt(pod):
            return f"found pod {pod} of an unanswered create: carrying on with it"
        case actions.RecordPod(pod):
            return f"pod {pod} carries our mark and nobody asked for it: into the books"
        case actions.Terminate(pod, reason):
            return f"terminating pod {pod} ({reason})"
        case actions.ConfirmGone(pod):
            return f"pod {pod} is gone: nothing of it bills"
        case actions.StartPod(pod):
            return f"starting pod {pod} again"
        case actions.RecordRestart(pod):
            return f"pod {pod} runs again, and bills"
        case actions.StopPod(pod):
            return f"stopping pod {pod}: its volume is kept and bills on"
        case actions.ConfirmParked(pod):
            return f"pod {pod} is stopped: only its disk bills"
        case actions.MarkReached(pod):
            return f"pod {pod} answers over SSH"
        case actions.Upload(run):
            return f"{run}: uploading code and inputs"
        case actions.StartJob(run, again, _, why):
            return f"{run}: starting the job{' again' if again else ''}{f' ({why})' if why else ''}"
        case actions.StopJob(run, reason):
            return f"{run}: asking the job to end ({reason})"
        case actions.RejectHost(run, why):
            return f"{run}: this host will not do ({why})"
        case actions.RestartRun(run, why):
            return f"{run}: begins again from what is here ({why})"
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
