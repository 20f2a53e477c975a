"""Generates in rounds until enough pairs are kept; resumes from the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..common.metrics import MetricsLog
from ..verification.instruction import Instruction
from .candidate import Candidate
from .journal import Entry, Journal
from .parameters import GenerateParameters
from .rounds import next_round
from .selection import Selection
from .writer import Task, Writer, make_task

ENOUGH = "enough pairs are kept"
NO_ATTEMPTS = "max_attempts is reached"
NO_SAMPLES = "every instruction had its samples_per_instruction"
NO_TIME = "max_minutes are over"


@dataclass(frozen=True)
class Collection:
    """The generation of the data; journal and parameters alone decide its course."""

    parameters: GenerateParameters
    train: Sequence[Instruction]
    pool: Sequence[Instruction]
    writer: Writer
    journal: Journal
    selection: Selection
    log: MetricsLog

    def run(self) -> str:
        """Fills `selection`; returns the reason why it ended."""
        while tasks := self._tasks():
            complete = self._write(tasks)
            done = [(task, self._entry(task)) for task in tasks]
            self.selection.add(
                [_candidate(task, entry) for task, entry in done if entry is not None]
            )
            if not complete:
                return NO_TIME
        if len(self.selection.kept) >= self.parameters.wanted:
            return ENOUGH
        spent = len(self.selection.judged) >= self.parameters.max_attempts
        return NO_ATTEMPTS if spent else NO_SAMPLES

    def _tasks(self) -> list[Task]:
        """The next round, in the order of the prompts' lengths; it depends on the last one."""
        done = self._attempts()
        tasks = [
            make_task(instruction, done[instruction.text], self.parameters, self.pool)
            for instruction in self._round()
        ]
        return sorted(tasks, key=lambda task: len(task.prompt))

    def _round(self) -> list[Instruction]:
        kept = Counter(judged.candidate.instruction.text for judged in self.selection.kept)
        room = self.parameters.max_attempts - len(self.selection.judged)
        given, attempts = self.parameters, self._attempts()
        limits = given.wanted, room, given.samples_per_instruction, given.at_least
        return next_round(self.train, attempts, kept, *limits)

    def _attempts(self) -> Counter[str]:
        return Counter(judged.candidate.instruction.text for judged in self.selection.judged)

    def _write(self, tasks: Sequence[Task]) -> bool:
        """Generates what the journal lacks of `tasks`; returns False when no time is left."""
        missing = [task for task in tasks if self._entry(task) is None]
        return not missing or self.writer.write(missing, self._store, self._out_of_time)

    def _out_of_time(self) -> bool:
        limit = self.parameters.max_minutes * 60
        return bool(limit) and self.journal.seconds >= limit

    def _store(self, entries: list[Entry]) -> None:
        self.journal.add(entries)
        self._report_progress(entries)

    def _entry(self, task: Task) -> Entry | None:
        return self.journal.entries.get((task.instruction.text, task.attempt))

    def _report_progress(self, new: Sequence[Entry]) -> None:
        seconds = sum(entry.seconds for entry in new)
        speed = sum(entry.tokens for entry in new) / seconds if seconds else 0.0
        self.log.add(
            {
                "step": len(self.selection.kept),
                "max_steps": self.parameters.wanted,
                "text": f"generating, {len(self.journal.entries)} responses so far",
                "tokens_per_second": round(speed, 1),
            }
        )


def _candidate(task: Task, entry: Entry) -> Candidate:
    return Candidate(
        task.instruction,
        entry.prompt,
        entry.response,
        entry.finished,
        entry.attempt,
        entry.seed,
        entry.tokens,
        entry.margin,
    )
