"""The report of a finished rehearsal: one line for each phase from the upload on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from controller.locks.answer_key import answer_key
from controller.locks.artifacts import hash_file
from controller.planner.lease_state import LeaseState, RunFacts
from controller.project.run_folder import RunFolder
from controller.rehearsal import findings
from controller.rehearsal.emulated_cloud import Cloud
from controller.rehearsal.run import End, Kill, RehearsalRun
from controller.rehearsal.scratch_project import Scratch
from controller.status.status_page import MAX_CELL
from controller.terminal import formatting
from jobs import criteria
from jobs.stage import Stage
from remote import outputs
from remote.contract import Exit, Manifest

PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"
OPEN = "INCONCLUSIVE"  # the rehearsal could not decide it
NOT_FOUND = (126, 127)  # what a shell and the agent end with when there is no such program
REPORT = "write each step to $PODCTL_METRICS, and name checkpoints in [stages.…] checkpoints"
AGAIN = "let the job look for existing checkpoints when it starts (docs/stages.md)"
LOG_LINES = 3


@dataclass(frozen=True)
class FindingLine:
    """The result of one phase; `mend` says what to change after a FAIL."""

    phase: str
    status: str
    detail: str
    mend: str = ""


def resumed(kill: Kill, after: Sequence[int]) -> FindingLine:
    """Whether the steps that were reported `after` the kill are those of a job that resumed."""
    if not kill.steps or not after:
        text = "the second attempt finished, but reported no steps: it may have started at 0"
        return FindingLine("resume", OPEN, text, REPORT)
    last, written = kill.steps[-1], kill.saved or kill.written
    # Not only the first of them: a dying job may have reported one more.
    begun = min(after)
    lowest = kill.steps[0] if kill.checkpoint is None else kill.checkpoint - 1
    if written and begun <= lowest < last:
        text = f"it started again at step {begun}, although {written} existed at step {last}"
        return FindingLine("resume", FAIL, text, AGAIN)
    if kill.checkpoint is None and begun <= last // 2:
        text = f"killed at step {last}; the second attempt was first seen at step {begun}"
        return FindingLine("resume", OPEN, text, REPORT)
    return FindingLine("resume", PASS, f"killed at step {last}, resumed at step {begun}")


@dataclass(frozen=True)
class RehearsalReport:
    """One run of `stage`, after its end; `lease_state` is what the journal records."""

    scratch: Scratch
    stage: Stage
    lease_state: LeaseState
    kill: Kill | None
    end: End

    @property
    def facts(self) -> RunFacts:
        return self.lease_state.runs[0]

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.scratch.project.run_dir(self.facts.run))

    @property
    def exit(self) -> Exit | None:
        return self.folder.exit()

    def lines(self, drive: RehearsalRun, cloud: Cloud) -> Iterator[FindingLine]:
        """Every phase in the order in which a run meets them."""
        yield self._upload()
        yield self._environment()
        yield self._start()
        yield from self._interrupted()
        yield self._ended()
        manifest = self.folder.manifest()
        yield self._pull(manifest)
        yield self._outputs(manifest)
        yield self._verify(drive, manifest)
        yield self._criteria(manifest)
        yield self._shutdown(cloud)

    # -- before the job --------------------------------------------------------------------

    def _upload(self) -> FindingLine:
        if self.facts.uploaded_to:
            return FindingLine("upload", PASS, "code and inputs are on the pod")
        why = self.facts.broken or self._error() or "no pod was reached"
        return FindingLine("upload", FAIL, why, self.end.error.get("hint", ""))

    def _environment(self) -> FindingLine:
        ended = self.exit
        if ended is not None and ended.reason in ("environment", "preflight"):
            return FindingLine("environment", FAIL, ended.detail, "change [stages.….environment]")
        if not self.facts.started:
            return FindingLine("environment", SKIP, "nothing was started")
        kind = self.stage.environment.kind
        return FindingLine("environment", PASS, f"{kind}: the job's Python is there")

    def _start(self) -> FindingLine:
        ended = self.exit
        words = " ".join(self.stage.command)
        if not self.facts.started or (ended and ended.reason in ("environment", "preflight")):
            return FindingLine("start", SKIP, "nothing was started")
        if ended is not None and ended.rc in NOT_FOUND and self.kill is None:
            text = f"command not found: {words}: {self._tail() or ended.detail}"
            return FindingLine(
                "start", FAIL, text, "name a program of the image, an input or [upload]"
            )
        return FindingLine("start", PASS, words)

    # -- the interruption ------------------------------------------------------------------

    def _interrupted(self) -> Iterator[FindingLine]:
        kill = self.kill
        if kill is None:
            for phase in ("save", "kill", "resume"):
                yield FindingLine(phase, SKIP, "the job ended before it could be interrupted")
            return
        if kill.saved:
            yield FindingLine("save", PASS, f"{kill.saved} was there after {kill.seconds:.1f} s")
        elif kill.written:
            text = f"{kill.written} was there after {kill.seconds:.1f} s, and no checkpoint"
            yield FindingLine("save", OPEN, text, "[stages.…] checkpoints names what is one")
        else:
            text = f"nothing was written within {kill.seconds:.0f} s"
            yield FindingLine("save", SKIP, text, "write outputs and checkpoints early")
        yield FindingLine(
            "kill", PASS, f"the pod's host died {kill.seconds:.1f} s after the job began"
        )
        yield self._resume(kill)

    def _resume(self, kill: Kill) -> FindingLine:
        ended = self.exit
        if ended is None or ended.attempt < 2:
            return FindingLine(
                "resume", FAIL, f"it was not restarted; {self._error()}", "podctl sync"
            )
        if ended.rc and not self._stopped() and not self._only_outputs(ended):
            text = f"the second attempt ended with {ended.rc}: {self._tail() or ended.detail}"
            return FindingLine("resume", FAIL, text, AGAIN)
        return resumed(kill, self.end.steps[len(kill.steps) :])

    def _ended(self) -> FindingLine:
        ended = self.exit
        if ended is None:
            why = "it did not end in time" if self.end.code is None else self._error()
            return FindingLine("job", FAIL, why or "no exit record came back", "see the log")
        if ended.reason == "budget":
            text = "it did not end in time and was stopped"
            return FindingLine("job", SKIP, text, "rehearse it with --minutes, or with less data")
        if ended.rc and not self._only_outputs(ended):
            return FindingLine(
                "job", FAIL, f"ended with {ended.rc}: {self._tail() or ended.detail}"
            )
        return FindingLine("job", PASS, "ended by itself with 0")

    def _only_outputs(self, ended: Exit) -> bool:
        """Whether the job itself returned 0 and failed only because outputs are missing."""
        return ended.reason == "exited" and "returned 0" in ended.detail

    # -- the artifacts ---------------------------------------------------------------------

    def _pull(self, manifest: Manifest | None) -> FindingLine:
        if not self.facts.pulled or manifest is None:
            return FindingLine(
                "pull", FAIL if self.facts.started else SKIP, self._error() or "nothing to pull"
            )
        size = sum(file.size for file in manifest.files)
        return FindingLine(
            "pull",
            PASS,
            f"{formatting.count(len(manifest.files), 'file')}, {formatting.size(size)}",
        )

    def _outputs(self, manifest: Manifest | None) -> FindingLine:
        if manifest is None:
            return FindingLine("outputs", SKIP, "nothing was pulled")
        absent = outputs.missing(self.stage.outputs, [file.path for file in manifest.files])
        if absent and self._stopped():
            return FindingLine("outputs", SKIP, f"missing when it was stopped: {', '.join(absent)}")
        if absent:
            text = f"nothing matches {', '.join(absent)}"
            return FindingLine(
                "outputs", FAIL, text, "correct the globs of outputs, or what the job writes"
            )
        return FindingLine("outputs", PASS, f"files at {', '.join(self.stage.outputs)}")

    def _stopped(self) -> bool:
        ended = self.exit
        return ended is not None and ended.reason in ("budget", "stopped")

    def _verify(self, drive: RehearsalRun, manifest: Manifest | None) -> FindingLine:
        if manifest is None:
            return FindingLine("verify", SKIP, "nothing was pulled")
        if self.facts.locked:
            code, _ = drive.read("verify", "--all")
            text = "the lock and its artifacts agree"
            return FindingLine(
                "verify", PASS if code == 0 else FAIL, text if code == 0 else "they differ"
            )
        for file in manifest.files:
            if hash_file(self.folder.files / file.path) != (file.size, file.sha256):
                return FindingLine("verify", FAIL, f"{file.path} differs from the pod's file")
        return FindingLine(
            "verify", PASS, f"hashes agree: {formatting.count(len(manifest.files), 'file')}"
        )

    def _criteria(self, manifest: Manifest | None) -> FindingLine:
        if manifest is None or self._stopped():
            return FindingLine("criteria", SKIP, "the job did not finish")
        key = answer_key(self.stage, self.scratch.project.root)
        results = criteria.evaluate(self.stage.criteria, self.folder.files, key)
        judged = findings.sort(self.stage.criteria, results)
        if judged.broken:
            text = "; ".join(f"{finding.criterion}: {finding.detail}" for finding in judged.broken)
            remedy = "correct the criterion's path and key, or let the job write it to its outputs"
            return FindingLine("criteria", FAIL, text, remedy)
        text = f"{len(judged.hold)} of {len(results)} hold"
        if judged.open:
            names = "; ".join(f"{finding.criterion}: {finding.detail}" for finding in judged.open)
            text += f"; not judged at this size: {names}"
        return FindingLine("criteria", PASS, text)

    def _shutdown(self, cloud: Cloud) -> FindingLine:
        left = [str(pod["id"]) for pod in cloud.pods()]
        if left and self.end.code is not None:
            return FindingLine("shutdown", FAIL, f"pods were left: {', '.join(left)}", "podctl gc")
        if left:
            return FindingLine("shutdown", SKIP, "the rehearsal ended before the run did")
        return FindingLine("shutdown", PASS, "no pod was left")

    # -- words -----------------------------------------------------------------------------

    def _error(self) -> str:
        error: Mapping[str, str] = self.end.error
        return ": ".join(text for key in ("what", "cause") if (text := error.get(key, "")))

    def _tail(self) -> str:
        """The last lines of the job's log that are the job's."""
        path = self.scratch.project.job_log(self.facts.run)
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        own = [line.strip() for line in lines if line.strip() and not line.startswith("podctl: ")]
        return " | ".join(line[: MAX_CELL * 2] for line in own[-LOG_LINES:])
