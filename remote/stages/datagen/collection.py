"""Generates in rounds until enough pairs are kept; resumes from the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
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
NO_TIME = "max_minutes are over"
_SEED_STRIDE = 1_000_003  # more than the batches of any run


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
        wanted = self.parameters.wanted
        for number, tasks in enumerate(self._batches()):
            entries = self._entries(tasks, number)
            if entries is None:
                return NO_TIME
            self.selection.add(
                [_candidate(task, entry) for task, entry in zip(tasks, entries, strict=True)]
            )
        return ENOUGH if len(self.selection.kept) >= wanted else NO_ATTEMPTS

    def _batches(self) -> Iterator[list[Task]]:
        """Batches of prompts of similar length; each round depends on the results of the last."""
        size = self.parameters.batch
        while instructions := self._round():
            done = self._attempts()
            tasks = [
                make_task(instruction, done[instruction.text], self.parameters, self.pool)
                for instruction in instructions
            ]
            tasks.sort(key=lambda task: len(task.prompt))
            for start in range(0, len(tasks), size):
                yield tasks[start : start + size]

    def _round(self) -> list[Instruction]:
        kept = Counter(judged.candidate.instruction.text for judged in self.selection.kept)
        room = self.parameters.max_attempts - len(self.selection.judged)
        return next_round(self.train, self._attempts(), kept, self.parameters.wanted, room)

    def _attempts(self) -> Counter[str]:
        return Counter(judged.candidate.instruction.text for judged in self.selection.judged)

    def _entries(self, tasks: Sequence[Task], number: int) -> list[Entry] | None:
        """The entries of a batch, generated where one is missing; None when no time is left."""
        keys = [(task.instruction.text, task.attempt) for task in tasks]
        if any(key not in self.journal.entries for key in keys):
            limit = self.parameters.max_minutes * 60
            if limit and self.journal.seconds >= limit:
                return None
            # The whole batch again: what is drawn for a row depends on the rows beside it.
            new = self.writer.write(tasks, self.parameters.seed * _SEED_STRIDE + number)
            self.journal.add(new)
            self._report_progress(new)
        return [self.journal.entries[key] for key in keys]

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
