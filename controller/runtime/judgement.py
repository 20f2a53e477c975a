"""The judgement of a run's files, and the context that judging and locking need. No pod."""

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
        return (
            "FAIL"
            if any(str(finding.status) == "FAIL" for finding in self.findings)
            else "INCONCLUSIVE"
        )

    @property
    def shortfall(self) -> str:
        """The criteria that are not met, with the measured values."""
        missed = [finding for finding in self.findings if not finding.met]
        return "; ".join(
            f"{finding.status} {finding.criterion}: {finding.detail}" for finding in missed
        )

    def report(self, tell: Callable[[str], None]) -> JudgedRun:
        """Tell each line; returns the record for the journal."""
        for entry in self.findings:
            more = f" (accepted: {entry.accepted})" if entry.accepted else ""
            tell(f"  {entry.status}  {entry.criterion}: {entry.detail}{more}")
        for text in self.warnings:
            tell(f"  WARN  {text}")
        findings = [finding.as_dict() for finding in self.findings]
        return JudgedRun(self.verdict, findings, list(self.warnings))


class JudgeContext(Protocol):
    """Implemented by `RunContext` and `FinishedRun`."""

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
