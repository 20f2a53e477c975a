"""Progress output while a lease is driven: a line for each change, and a view that is redrawn.

On a terminal the view at its foot shows stages, steps, load and money; the job's log and the lines
of changes go above it. In a file or pipe each line has its time, and every 30 s one describes the
job's progress.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

from controller.clock import Clock
from controller.leases.job_output import JobOutput
from controller.leases.job_panel import Measured, Quoted, job_lines, money_line, run_lines
from controller.leases.moving_line import MovingLine, stamped
from controller.leases.progress_line import job_line, wait_line
from controller.planner import actions
from controller.planner.actions import Action
from controller.planner.job_progress import JobProgress, span
from controller.planner.lease_state import RunFacts
from controller.planner.observation import Observation
from controller.providers.offers import priced
from controller.terminal.panel import PanelLine, Span
from controller.terminal.streams import draws_unicode
from controller.terminal.terminal import Terminal
from controller.transfer.progress import TransferProgress
from remote.contract import Status

MOST_LOSSES = 512  # values of a curve that are kept


@dataclass
class View:
    """Shows every observation and action on the terminal."""

    terminal: Terminal
    clock: Clock
    quoted: Quoted = field(default_factory=Quoted)
    output: JobOutput | None = None  # the job's log; None: not shown
    _last: str = ""
    _why: str = ""  # what is waited for
    _why_since: float = 0.0
    _phase: str = ""
    _job: str = ""  # run and attempt that `_pace` is of
    _pace: JobProgress = field(default_factory=JobProgress)
    _losses: list[float] = field(default_factory=list)
    _loss_step: int | None = None
    _loss_nan: bool = False
    _running_since: float | None = None
    _looked_at: float | None = None
    _pulled: tuple[int, int] = (0, 0)  # files and bytes that came while the job went on
    _started: set[str] = field(default_factory=set)  # runs that this process started
    _seen: Observation | None = None
    _until: float | None = None  # latest end of the job
    _status: Status | None = None
    _line: MovingLine = field(init=False)

    def __post_init__(self) -> None:
        self._line = MovingLine(self.terminal, self.clock, self._draw, stamp=True)

    def __call__(self, observation: Observation, action: Action) -> None:
        self._line.next_action()
        self._look(observation)
        if isinstance(action, actions.StartJob):
            self._started.add(action.run)
        if isinstance(action, actions.Wait):
            self._wait(observation, action)
            return
        self._why = ""
        if text := describe(observation, action):
            self._say(text)
        if self.terminal.moving and not isinstance(action, actions.Close):
            self._draw(f"{text}…" if text else "")

    def message(self, text: str) -> None:
        """Show a message, unless it was the last one shown."""
        self._say(text)

    def brought(self, files: int, size: int) -> None:
        """Count files that were downloaded while the job runs; they are shown as a total."""
        self._pulled = (self._pulled[0] + files, self._pulled[1] + size)

    def moved(self, what: str, progress: TransferProgress) -> None:
        """Show the progress of a transfer or of reading files."""
        self._line.moved(what, progress)

    def tick(self) -> None:
        """While the pod is asked: the same view, with the times of now."""
        run = self._seen.lease.current if self._seen is not None else None
        if self._seen is None or self._status is None or run is None or not run.started:
            return
        self._seen = replace(self._seen, now=self.clock.now())
        self._draw_job(run, self._status, self._seen)

    def end(self) -> None:
        """Write the rest of the job's log."""
        if self.output is not None:
            self.output.end()

    def _say(self, text: str) -> None:
        if text != self._last:
            self._last = text
            self.terminal.say(stamped(text, self.clock, self.terminal))

    # -- what was observed -----------------------------------------------------------------------

    def _look(self, observation: Observation) -> None:
        """Note what an observation says, and show what it brought of the job's log."""
        run = observation.lease.current
        status = observation.job.contact.status if observation.job.contact else None
        self._seen = observation
        if status is not None or run is None or not run.pulled:  # a pulled run's pod is not asked
            self._status = status
        if status is not None:
            self._looked_at = observation.now
        if run is None or not run.started:
            return
        if self.output is not None:
            self.output.show(run.run, begun_here=run.run in self._started)
        if status is not None:
            self._measure(run, status, observation.now)

    def _measure(self, run: RunFacts, status: Status, now: float) -> None:
        if self._job != (job := f"{run.run} {status.attempt}"):
            self._job, self._pace = job, JobProgress()
            self._losses, self._loss_step, self._running_since = [], None, None
            self._pulled = (0, 0)
        if status.phase == "running" and self._running_since is None:
            self._running_since = now
        progress = status.progress
        self._pace.see(progress.step, now)
        if progress.loss_nan and not self._loss_nan:
            step = "" if progress.step is None else f" at step {progress.step}"
            self._say(f"{run.run}: the loss is NaN{step}; podctl stop {run.run} ends the run")
        self._loss_nan = progress.loss_nan
        if progress.loss is not None and progress.step != self._loss_step:
            self._loss_step = progress.step
            self._losses = [*self._losses[1 - MOST_LOSSES :], progress.loss]

    def _measured(self) -> Measured:
        seen, status = self._seen, self._status
        steps = self._pace.steps(status.progress, seen.now) if seen and status else None
        times = self._running_since, self._looked_at
        return Measured(self._pace, tuple(self._losses), *times, self._pulled, steps)

    # -- what is shown ---------------------------------------------------------------------------

    def _wait(self, observation: Observation, action: actions.Wait) -> None:
        run, status = observation.lease.current, self._status
        if status is None or run is None or not run.started:
            self._idle(observation.now, action)
            return
        if status.phase != self._phase:
            self._phase = status.phase
            self._say(f"{run.run}: {status.phase or status.state}")
        self._until = action.until
        self._draw_job(run, status, observation)
        line = partial(job_line, run, status, observation, self._pace, pulled=self._pulled)
        self._line.note(line(until=action.until))

    def _draw_job(self, run: RunFacts, status: Status, observation: Observation) -> None:
        if self.terminal.moving:
            lines = job_lines(run, status, observation, self._measured(), self._until)
            self._panel(status.phase or status.state, lines)

    def _idle(self, now: float, action: actions.Wait) -> None:
        if action.why != self._why:
            self._why, self._why_since = action.why, now
        left = None if action.until is None else action.until - now
        waited = now - self._why_since
        short = wait_line(action.why, waited, left, self.terminal.width)
        self._line.show(short, wait_line(action.why, waited, left))

    def _draw(self, text: str) -> None:
        """The view with `text`, what is done or waited for now, in place of the job's steps."""
        status = self._status
        state = (status.phase or status.state) if status is not None else "waiting"
        self._panel(state, [[Span(text, "cyan")]] if text else [])

    def _panel(self, state: str, lines: list[PanelLine]) -> None:
        if self._seen is None:  # a transfer before the first observation
            self.terminal.panel(lines)
            return
        if self.output is not None and (drawing := self.output.drawing):
            lines = [[Span(drawing, "dim")], *lines]
        unicode = draws_unicode(self.terminal.err)
        runs = run_lines(self._seen, state, unicode=unicode)
        self.terminal.panel([*runs, *lines, money_line(self._seen, self.quoted, self._measured())])


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
            return f"pod {pod} is to stay warm for {span(seconds)}"
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
