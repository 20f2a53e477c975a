"""The steps that the journal records of a lease and of its runs."""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    """Names of journal records. Actions that touch the world have an intent; the rest are notes."""

    GENERATION = "generation"  # note {number, nonce}
    CREATE = "create"  # intent {offer}; done {pod}; fail {kind, offer, why}
    ASK_AGAIN = "ask-again"  # note: offers without capacity are tried again
    WAIT = "wait"  # note {wait_since, wait_until}: until when podctl waits for capacity
    ADOPT = "adopt"  # note {pod}
    SURPLUS = "surplus"  # note {pod}: an orphaned pod, recorded before it is terminated
    REACHED = "reached"  # note {pod, started_at, image_digest}: SSH answered once
    TERMINATE = "terminate"  # intent {pod, reason}; done {pod}; fail {pod, why}
    GONE = "gone"  # note {pod, ended_at}, {since, until} of use that only its bill shows
    STOP_POD = "stop-pod"  # intent {pod, reason}; done; fail
    START_POD = "start-pod"  # intent {pod}; done; fail {kind}
    RECONCILE = "reckon"  # note {pod, since, until}: what an unclear start cost
    RESUMED = "resumed"  # note {pod, started_at}: it runs although it was recorded as parked
    PARKED = "parked"  # note {pod, ended_at}: EXITED confirmed
    UNGUARDED = "unguarded"  # note {accepted, why}: the user's decision about a pod without a guard
    STOP = "stop"  # note {disposal, abandon}: the user ends the lease early
    RENEW = "renew"  # note {runs, …terms}: more runs, on the parked pod or on another
    FETCH = "fetch"  # note {runs, …terms}: the parked pod is needed only for their files
    VISIT = "visit"  # note {most_usd}: the parked pod is started to be worked on by hand
    WARM = "warm"  # intent {pod}; done {pod, until, after}; fail {why}: it waits for another run
    CLOSE = "close"  # note {outcome}
    # of one run:
    UPLOAD = "upload"  # intent; done {pod, code, bytes}; fail {why, fatal}
    START_JOB = "start-job"  # intent; done {attempt}; fail {why}
    DISQUALIFY = "disqualify"  # note {why}: the preflight refused the host
    REWORK = "rework"  # note {why, accepted, hours, usd}: its disk is gone; it restarts
    STOP_JOB = "stop-job"  # intent {reason}; done; fail
    PULL = "pull"  # intent; done {manifest_sha256, rc, reason}; fail {why}
    JUDGE = "judge"  # note {verdict, findings}
    LOCK = "lock"  # intent; done {certificate_sha256}; fail {why}
    FINISH = "finish"  # note {outcome, why}
    INCIDENT = "incident"  # note {action, type, message, where}: an unexpected exception
