"""Checks of everything that a run relies on, each with the remedy."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from controller.credentials.secret import for_children
from controller.diagnostics import drill_results
from controller.errors import PodctlError, Refused
from controller.planner.policy import DRILL
from controller.project.project import Project
from controller.project.provider import base_url
from controller.providers import certificates
from controller.providers.base import Account, Provider, ProviderError
from controller.providers.proxies import proxy_for
from controller.ssh.host_keys import key_words
from controller.terminal import formatting
from remote.reserved_names import STATE

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"
OLDEST_PYTHON = (3, 11)
LOW_DISK_GB, MIN_DISK_GB = 20.0, 1.0
LOW_BALANCE_USD = 5.0
SKEW_WARN, SKEW_FAIL = 30.0, 600.0  # seconds; bills and logs are compared by time
GIT_SECONDS = 10.0


@dataclass(frozen=True)
class Check:
    """The result of one check. `exit_code` is the command's exit code if this check fails first."""

    name: str
    verdict: str
    detail: str
    mend: str = ""
    exit_code: int = 1


def examine(project: Project, open_provider: Callable[[], Provider]) -> Iterator[Check]:
    """Every check in order; those that need the provider come last."""
    yield _python()
    yield _config(project)
    yield _state_dir(project)
    yield _git(project)
    yield _disk(project)
    yield from _programs()
    yield from _network(project)
    yield from _account(project, open_provider)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Check("python", FAIL, version, "install Python 3.11 or newer")
    return Check("python", PASS, version)


def _config(project: Project) -> Check:
    try:
        count = len(project.stages)
    except PodctlError as error:
        detail = f"{error.what}: {error.cause}" if error.cause else error.what
        return Check("podctl.toml", FAIL, detail, error.hint, error.exit_code)
    return Check("podctl.toml", PASS, f"{project.file}: {formatting.count(count, 'stage')}")


def _state_dir(project: Project) -> Check:
    try:
        project.prepare()
        mode = stat.S_IMODE(project.state_dir.stat().st_mode)
    except PodctlError as error:
        return Check("state folder", FAIL, f"{error.what} {error.cause}".strip(), error.hint)
    return Check("state folder", PASS, f"{project.state_dir}, mode {mode:04o}")


def _git(project: Project) -> Check:
    """Whether git ignores the state folder, which contains the private key."""
    if shutil.which("git") is None or not _is_repository(project):
        return Check("git", PASS, "no git repository here: nothing can be committed by mistake")
    status = _run_git(project, "check-ignore", "-q", f"{STATE}/state.db")
    if status == 0:
        return Check("git", PASS, f"{STATE} is ignored")
    return Check("git", FAIL, f"{STATE} is not ignored", f"echo '{STATE}/' >> .gitignore")


def _is_repository(project: Project) -> bool:
    return _run_git(project, "rev-parse", "--is-inside-work-tree") == 0


def _run_git(project: Project, *arguments: str) -> int:
    try:
        result = subprocess.run(
            ["git", *arguments],  # noqa: S607 - the user's own git
            cwd=project.root,
            env=for_children(),
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 128
    return result.returncode


def _disk(project: Project) -> Check:
    free = shutil.disk_usage(project.root).free / 1e9
    detail = f"{free:.1f} GB free at {project.root}"
    if free < MIN_DISK_GB:
        return Check(
            "disk", FAIL, detail, "free some space: checkpoints are downloaded to this disk"
        )
    if free < LOW_DISK_GB:
        return Check("disk", WARN, detail, "large checkpoints may not fit")
    return Check("disk", PASS, detail)


def _programs() -> Iterator[Check]:
    """Optional programs: podctl itself needs neither."""
    for name, use in (("ssh", "podctl ssh"), ("rsync", "your own copies")):
        path = shutil.which(name)
        if path:
            yield Check(name, PASS, path)
        else:
            yield Check(name, WARN, "not installed", f"only needed for {use}")


def _network(project: Project) -> Iterator[Check]:
    """The connection to the provider: its proxy and the trusted certificates."""
    try:
        address = base_url(project)
        proxy = proxy_for(address, os.environ) if address.startswith("https:") else None
    except PodctlError as error:
        if error.where.startswith("the variable "):
            yield Check("proxy", FAIL, error.what, error.hint, error.exit_code)
        return  # other errors are reported by the check of the key
    if proxy is not None:
        yield Check("proxy", PASS, f"{proxy.shown}, by {proxy.variable}")
    for name in certificates.unreadable():
        remedy = f"unset {name}, or set it to an existing file"
        yield Check(
            "certificates", WARN, f"the file or folder that {name} names cannot be read", remedy
        )


def _account(project: Project, open_provider: Callable[[], Provider]) -> Iterator[Check]:
    try:
        provider = open_provider()
        account = provider.account()
    except ProviderError as error:
        refused = error.kind == "refused"
        code = Refused.exit_code if refused else 8
        detail = f"{error.what}: {error.cause}" if error.cause else error.what
        yield Check("key", FAIL, detail, error.hint or "export RUNPOD_API_KEY=…", code)
        return
    except PodctlError as error:
        detail = f"{error.what} ({error.where})" if error.where else error.what
        yield Check("key", FAIL, detail, error.hint, error.exit_code)
        return
    yield Check("key", PASS, f"{provider.name} accepts it")
    if provider.name == "runpod" and os.environ.get("RUNPOD_API_KEY"):
        yield Check(
            "key source",
            WARN,
            "RUNPOD_API_KEY: every program started from this shell can read the key",
            "put it into a file of mode 0600 and use that instead: export RUNPOD_API_KEY_FILE=…",
        )
    yield _balance(account)
    yield _ssh_key(project, account)
    yield _clock(account)
    yield _self_stop(project)


def _balance(account: Account) -> Check:
    balance = account.balance_usd
    if balance is None:
        return Check("balance", WARN, "the provider does not report it", "look in its console")
    detail = f"${balance:.2f}"
    if balance <= 0:
        remedy = "add funds: at zero the provider deletes pods with their data"
        return Check("balance", FAIL, detail, remedy, Refused.exit_code)
    if balance < LOW_BALANCE_USD:
        return Check("balance", WARN, detail, "a run is refused below 1.5 times its worst case")
    return Check("balance", PASS, detail)


def _ssh_key(project: Project, account: Account) -> Check:
    try:
        public = public_key(project)
    except (PodctlError, OSError) as error:
        return Check("ssh key", FAIL, f"cannot create one: {error}", "make .podctl writable")
    if key_words(public) in {key_words(ssh_key) for ssh_key in account.ssh_keys}:
        return Check("ssh key", PASS, f"{project.public_key} is registered")
    others = f"{len(account.ssh_keys)} others are" if account.ssh_keys else "none is"
    detail = f"{project.public_key} is not registered with the account ({others})"
    return Check("ssh key", FAIL, detail, "podctl doctor --register")


def public_key(project: Project) -> str:
    """The project's public key, generated if there is none. Raises UsageError."""
    from controller.ssh.host_keys import ensure_key

    project.prepare()
    return ensure_key(project.state_dir).public


def _clock(account: Account) -> Check:
    skew = account.clock_skew_seconds
    if skew is None:
        return Check("clock", WARN, "the provider does not report its time")
    detail = f"{abs(skew):.1f} s {'behind' if skew > 0 else 'ahead of'} the provider's"
    remedy = "let the system set its clock (NTP)"
    if abs(skew) > SKEW_FAIL:
        return Check("clock", FAIL, detail, remedy)
    return Check("clock", WARN if abs(skew) > SKEW_WARN else PASS, detail, remedy)


def _self_stop(project: Project) -> Check:
    """Whether a drill has shown that this account's pods end their own billing."""
    from state.errors import StateError

    try:
        result, image = drill_results.read(project), project.config.pod.image
    except StateError as error:
        return Check("self-stop", WARN, f"the state cannot be read: {error}", "podctl status")
    if result is None:
        detail = "self-stop not tested on this account"
        return Check("self-stop", WARN, detail, f"{DRILL} (a few cents)")
    if result.passed and not result.of(image):
        detail = f"tested on {result.day} with the image {result.image or '?'}, not with {image}"
        return Check("self-stop", WARN, detail, f"{DRILL} (a few cents)")
    if result.passed:
        return Check("self-stop", PASS, f"tested on {result.day}: {result.why}")
    remedy = (
        "an unattended pod bills until podctl sync or gc terminates it: do not leave runs "
        "unattended, "
        f"set a spend limit at the provider, and repeat {DRILL} after a change of image or key"
    )
    return Check("self-stop", FAIL, f"the drill of {result.day} failed: {result.why}", remedy)
