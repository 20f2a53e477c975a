"""The supervisor's side work, each in a thread that may hang without holding up the others."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .. import outputs
from ..contract import MAX_FILES, Heartbeat, JobSpec, Json, Manifest, digest, dump
from ..light_dataclasses import dataclass, field
from ..pod import atomic_files, log_file
from . import manifest, metrics_sampler
from .intervals import Intervals
from .stop_conditions import StopConditions

CROWDED = 0.8  # of MAX_FILES: from there on the number of outputs is reported while the job runs
STUCK_SECONDS = 30.0  # without a tick of the main thread there is no sign of life
SAMPLES_CAP = 64 * 1024 * 1024  # bytes


@dataclass
class CurrentPhase:
    """What the main thread is doing; the heartbeat reports it, and only while it ticks."""

    phase: str = "preflight"
    text: str = ""
    ticked: float = field(default_factory=time.monotonic)

    def tick(self) -> None:
        self.ticked = time.monotonic()


class Repeated:
    """Calls `work` every `seconds` in a daemon thread until `end`; disk errors are ridden out."""

    def __init__(self, name: str, seconds: float, work: Callable[[], None], nice: int = 0) -> None:
        self._seconds, self._work, self._nice = seconds, work, nice
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        if self._nice:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._nice)
        while not self._over.is_set():
            began = time.monotonic()
            with contextlib.suppress(OSError, Over):
                self._work()
            # Work that takes long is done less often: at most a tenth of the time.
            self._over.wait(
                max(self._seconds, 9 * (time.monotonic() - began)) if self._nice else self._seconds
            )

    def end(self, patience: float = 1.0) -> None:
        """Ask it to end and wait a little."""
        self._over.set()
        self._thread.join(patience)


class Over(Exception):
    """Side work was asked to end in the middle."""


def heartbeat(
    run: Path, spec: JobSpec, attempt: int, boot_id: str, pulse: CurrentPhase
) -> Callable[[], None]:
    """Writes heartbeat.json; small and without fsync, since only its freshness matters."""

    def beat() -> None:
        now = time.monotonic()
        if now - pulse.ticked > STUCK_SECONDS:
            return
        size = log_file.size(run / "job.log")
        heartbeat = Heartbeat(spec.run, attempt, boot_id, pulse.phase, now, time.time(), size)
        document = json.loads(dump(heartbeat)) | {"text": pulse.text}
        atomic_files.write(
            run / "heartbeat.json", json.dumps(document).encode() + b"\n", sync=False
        )

    return beat


def sampler(
    run: Path, meter: metrics_sampler.MetricsSampler, boot_id: str, watch: StopConditions
) -> Callable[[], None]:
    """Appends to samples.jsonl."""

    def take() -> None:
        sample: dict[str, Json] = meter.sample() | {"boot_id": boot_id}
        watch.gpu_busy = metrics_sampler.busy(sample)
        if log_file.size(run / "samples.jsonl") < SAMPLES_CAP:
            atomic_files.append(run / "samples.jsonl", json.dumps(sample).encode() + b"\n")

    return take


class Ready:
    """Publishes ready.json: the outputs that are finished while the job still runs."""

    def __init__(
        self, run: Path, spec: JobSpec, attempt: int, watch: StopConditions, pace: Intervals
    ) -> None:
        self._run, self._spec, self._attempt, self._watch = run, spec, attempt, watch
        self.hashes = manifest.Hashes(run / "work")
        self._settled = manifest.Settled(pace.settle)
        self._published = ""
        self._over = False

    def scan(self) -> None:
        """Look once."""
        survey = outputs.survey(self.hashes.work, self._spec.outputs)
        self._watch.outputs = survey.files
        names = manifest.announced(self._run, self.hashes.work)
        finished = self._settled.select(survey.files, names, time.monotonic())
        entries = tuple(e for file in finished if (e := self.hashes.of(file, self._pause)))
        sent = manifest.untouched(self._run, self._spec.outputs, entries)
        count = survey.seen if survey.seen >= CROWDED * MAX_FILES else 0
        document = Manifest(
            self._spec.run, self._attempt, False, entries, seen=count, untouched=sent
        )
        if digest(dump(document)) != self._published:
            self._published = digest(manifest.write(self._run / "ready.json", document))

    def stop(self) -> None:
        """Give up a hash that is half done."""
        self._over = True

    def _pause(self) -> None:
        if self._over:
            raise Over
