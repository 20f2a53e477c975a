"""What the files of a run come to, and what has to be at hand to judge and lock it: no pod."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from controller.clock import Clock
from controller.engine.outcomes import JudgedRun
from controller.planner.lease_state import LeaseState
from controller.planner.pod_spec import Shape
from controller.project.project import Project
from jobs.criteria import Finding, passed
from jobs.stage import Stage
from state.journal import Journal
from state.ledger import Ledger
from state.locks import Locks


@dataclass(frozen=True)
class Judgement:
    """Findings decide; `warnings` are of artifacts that no criterion judges."""

    findings: tuple[Finding, ...]
    warnings: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        if passed(self.findings):
            return "PASS"
        return "FAIL" if any(str(one.status) == "FAIL" for one in self.findings) else "INCONCLUSIVE"

    @property
    def shortfall(self) -> str:
        """What is not met, with what was measured."""
        missed = [one for one in self.findings if not one.met]
        return "; ".join(f"{one.status} {one.criterion}: {one.detail}" for one in missed)

    def told(self, tell: Callable[[str], None]) -> JudgedRun:
        """Each line said; the whole as the journal keeps it."""
        for one in self.findings:
            more = f" (accepted: {one.accepted})" if one.accepted else ""
            tell(f"  {one.status}  {one.criterion}: {one.detail}{more}")
        for text in self.warnings:
            tell(f"  WARN  {text}")
        findings = [one.as_dict() for one in self.findings]
        return JudgedRun(self.verdict, findings, list(self.warnings))


class JudgeContext(Protocol):
    """A `Workshop` is one; so is a run that is over."""

    @property
    def project(self) -> Project: ...
    @property
    def stages(self) -> Mapping[str, Stage]: ...
    @property
    def shape(self) -> Shape: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def locks(self) -> Locks: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def tell(self) -> Callable[[str], None]: ...
    def lease_state(self) -> LeaseState: ...
