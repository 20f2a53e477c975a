"""Builds the `Status` of a run. Cheap: it reads small files only."""

from __future__ import annotations

import os
import time

from .. import light_json
from ..contract.codec import ContractError, Json, digest, load, number
from ..contract.guard import GuardReport
from ..contract.status import Attempt, Exit, Progress, Status
from ..light_dataclasses import replace
from ..pod import atomic_files, log_file, progress_file
from ..pod import job_lock as lock
from ..pod.paths import Boot, PodPaths, boot, document, json_object, record

TYPE_CHECKING = False  # of `typing`, which is not imported: it costs CPU
if TYPE_CHECKING:
    from ..pod.atomic_files import StrPath

TAIL = 16 * 1024  # last bytes of a growing file that are read
MAX_SAID = 400  # characters of a reported text: a job may write anything
MAX_DETAIL = 2000  # characters of an exit's detail
FRESH_SECONDS = 120.0  # an older sample says nothing about now


def status(paths: PodPaths, run: str) -> Status:
    """The run's status by its files and the lock."""
    folder, now = paths.run_name(run), boot(paths.local_name)
    attempt = document(Attempt, f"{folder}/attempt.json")
    beat = record(f"{folder}/heartbeat.json") or {}
    current = attempt is not None and beat.get("attempt") == attempt.number
    sample = _last_sample(f"{folder}/samples.jsonl", now)
    reported = sample.get("gpus")
    gpus = [gpu for gpu in reported if isinstance(gpu, dict)] if isinstance(reported, list) else []
    exit_record = ending(folder, attempt)
    ready = atomic_files.read(f"{folder}/ready.json")
    ready_sha256 = digest(ready) if ready is not None else None
    state = _state(paths, run, attempt, exit_record, current)
    number_of_attempt = attempt.number if attempt else 0
    phase = _one_line(str(beat.get("phase", ""))) if current and not exit_record else ""
    return Status(
        run=run,
        state=state,
        boot_id=now.id,
        attempt=number_of_attempt,
        phase=phase,
        heartbeat_age=_age(beat, now) if current else None,
        progress=_progress(folder, attempt, now, str(beat.get("text", "")) if current else ""),
        log_size=log_file.size(f"{folder}/job.log"),
        ready_sha256=ready_sha256,
        exit=exit_record,
        guard=guard(paths, now),
        free_bytes=_free(paths.root_name),
        gpu_util=_mean([gpu.get("percent") for gpu in gpus]),
        gpu_memory_gb=_sum([gpu.get("memory_gb") for gpu in gpus]),
        cpu_util=number(sample.get("cpu_percent")),
        mark=digest(f"{now.id} {number_of_attempt} {state} {phase} {ready_sha256}".encode())[:16],
    )


def ending(folder: StrPath, attempt: Attempt | None) -> Exit | None:
    """The commit record of the current attempt; None if there is only an older one."""
    exit_document = document(Exit, f"{folder}/exit.json")
    if exit_document is None or attempt is None or exit_document.attempt != attempt.number:
        return None
    return replace(
        exit_document,
        reason=exit_document.reason[:MAX_SAID],
        detail=exit_document.detail[:MAX_DETAIL],
    )


def _state(
    paths: PodPaths, run: str, attempt: Attempt | None, end: Exit | None, beating: bool
) -> str:
    if end is not None:
        return "ended"
    holder = lock.holder(paths.lock_name)
    if holder and holder.run == run and lock.held(paths.lock_name):
        alive = attempt is not None and holder.attempt == attempt.number and beating
        return "running" if alive else "starting"
    return "absent" if attempt is None else "lost"


def guard(paths: PodPaths, now: Boot) -> GuardReport | None:
    """The guard's last report since this boot; a silent guard counts as disarmed."""
    data = atomic_files.read(paths.guard_name)
    if data is None:
        return None
    try:
        report = load(GuardReport, data)
        reported_at = number(light_json.loads(data).get("monotonic"))
    except (ContractError, ValueError):
        return None
    report = replace(report, detail=report.detail[:MAX_SAID], phase=report.phase[:MAX_SAID])
    if report.boot_id != now.id:
        return report.silenced("the guard was not heard since this boot")
    return report.aged(time.monotonic() - (reported_at or 0.0))


def _progress(folder: str, attempt: Attempt | None, now: Boot, text: str) -> Progress:
    """The supervisor's progress record; without one, the last values of metrics and log."""
    followed = progress_file.read(folder, attempt.number, now.id) if attempt else None
    if followed is not None:
        return replace(followed, text=_one_line(text or followed.text or "") or None)
    return _tails(folder, text)


def _tails(folder: str, text: str) -> Progress:
    """The newest value of each field in the last lines of metrics.jsonl, else in the log's."""
    step = limit = loss = phase_text = None
    for line in atomic_files.tail(f"{folder}/metrics.jsonl", TAIL).splitlines():
        try:
            value = light_json.loads(line)
        except (ValueError, RecursionError):  # the first line of the window, or being written
            continue
        if isinstance(value, dict):
            step = _integer(value.get("step")) if "step" in value else step
            limit = _integer(value.get("max_steps")) if "max_steps" in value else limit
            loss = number(value.get("loss")) if "loss" in value else loss
            phase_text = value["text"] if isinstance(value.get("text"), str) else phase_text
    if step is None and (log := atomic_files.tail(f"{folder}/job.log", TAIL)):
        from .. import steps  # compiles many patterns; rarely needed

        newest = steps.newest(log.decode(errors="replace"))
        step, limit = newest.step, newest.max_steps if limit is None else limit
        loss = newest.loss if loss is None else loss
    return Progress(step, limit, number(loss), _one_line(text or phase_text or "") or None)


def _one_line(text: str) -> str:
    """Text of a job or its supervisor on one line of limited length."""
    return " ".join(text.split())[:MAX_SAID]


def _last_sample(path: str, now: Boot) -> dict[str, Json]:
    for line in reversed(atomic_files.tail(path, TAIL).splitlines()):
        if (value := json_object(line)) is None:
            continue
        fresh = time.monotonic() - (number(value.get("monotonic")) or 0.0) < FRESH_SECONDS
        return value if fresh and value.get("boot_id") == now.id else {}
    return {}


def _age(beat: dict[str, Json], now: Boot) -> float | None:
    """Seconds since the heartbeat; None when it is from another boot."""
    at = number(beat.get("monotonic"))
    if at is None or beat.get("boot_id") != now.id:
        return None
    return max(0.0, time.monotonic() - at)


def _free(root: str) -> int | None:
    try:
        info = os.statvfs(root)
    except OSError:
        return None
    return info.f_bavail * info.f_frsize


def _integer(value: Json) -> int | None:
    value_number = number(value)
    return None if value_number is None or abs(value_number) > 2**53 else int(value_number)


def _mean(values: list[Json]) -> float | None:
    known = [n for v in values if (n := number(v)) is not None]
    return sum(known) / len(known) if known else None


def _sum(values: list[Json]) -> float | None:
    known = [n for v in values if (n := number(v)) is not None]
    return sum(known) if known else None
