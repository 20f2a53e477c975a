"""Canaries: known secrets in a whole run, and a look for them everywhere when it is over."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from controller.cli.main import run
from tests.support.emulated_cloud import FAST, EmulatedCloud, start_cloud, until
from tests.support.laptop import Laptop

# None has a prefix that would give it away, but for the Hub's token, which must have one.
ACCOUNT = "Kanarie-account-0f9e8d7c6b5a4932"
HUB = "hf_" + "KanarieHub0f9e8d7c6b5a4932zyxwvuts"
STAGE = 'Kanarie"stage/0f9e8d7c6b5a4932'
JOB = """exec python3 - <<'END'
import base64, json, os, pathlib, time, traceback
hub = pathlib.Path(os.environ["HF_TOKEN_PATH"]).read_text()
for secret in (hub, os.environ["CANARY"]):
    print("plain", secret)
    print(json.dumps({"token": secret}))
    print(base64.b64encode(b"user:" + secret.encode()).decode())
    try:
        raise ValueError("refused", secret)
    except ValueError:
        traceback.print_exc()
with open(os.environ["PODCTL_METRICS"], "a") as metrics:
    metrics.write(json.dumps({"step": 1, "text": "with " + hub + " and " + secret}) + "\\n")
pathlib.Path("out").mkdir(exist_ok=True)
pathlib.Path("out/environment.json").write_text(json.dumps({"python": "3"}))
pathlib.Path("up").write_text("1")
end = time.monotonic() + 150
while not pathlib.Path("go").exists() and time.monotonic() < end:
    time.sleep(0.05)
pathlib.Path("out/result.json").write_text('{"ok": true}')
END
"""


def forms(secret: str) -> list[bytes]:
    """What gives it away: itself, as JSON has it, and the middle of its base64."""
    inner = base64.b64encode(b"user:" + secret.encode()).decode()[8:-4]
    return [one.encode() for one in {secret, json.dumps(secret)[1:-1], inner}]


@dataclass
class Canaries:
    """The secrets of one run by their names."""

    secrets: dict[str, str]

    def found_in(self, data: bytes) -> set[str]:
        return {
            name
            for name, value in self.secrets.items()
            if any(form in data for form in forms(value))
        }

    def in_files(self, paths: Iterable[Path]) -> dict[str, set[str]]:
        """File to what it gives away; only those that do."""
        found = {}
        for path in paths:
            if path.is_file() and not path.is_symlink() and (names := self.found_in(_read(path))):
                found[str(path)] = names
        return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # gone meanwhile, or not ours
        return b""


@dataclass
class Watch:
    """Looks at every process of this machine, again and again."""

    canaries: Canaries
    cloud: bytes  # its command line: it is the provider, and knows the account; so does its fork
    leaks: dict[str, set[str]] = field(default_factory=dict)
    job: set[str] = field(default_factory=set)  # what the job's own environment has
    looks: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        for folder in Path("/proc").glob("[0-9]*"):
            environment, command = _read(folder / "environ"), _read(folder / "cmdline")
            names = self.canaries.found_in(environment)
            if command == self.cloud:
                continue
            if b"PODCTL_METRICS=" in environment and b"remote." not in command:
                self.job |= names
                names = set()
            elif b"RUNPOD_POD_ID=" in environment:  # the provider gives each pod its own key
                names -= {"pod"}
            names |= self.canaries.found_in(command)
            if names:
                self.leaks[command.replace(b"\0", b" ").decode(errors="replace")] = names
        self.looks += 1

    @contextmanager
    def watching(self) -> Iterator[None]:
        def again() -> None:
            while not self.over.wait(0.1):
                self.look()

        thread = threading.Thread(target=again, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.over.set()
            thread.join(30)


@pytest.fixture
def cloud_of_ours(tmp_path: Path) -> Iterator[EmulatedCloud]:
    """A cloud whose account key is a canary."""
    cloud = start_cloud(tmp_path / "sky", FAST, ACCOUNT)
    yield cloud
    cloud.reset()
    cloud.process.stop()


@pytest.fixture
def project(tmp_path: Path, cloud_of_ours: EmulatedCloud) -> Laptop:
    """A laptop that knows every secret from a private file outside of its project."""
    places = {"RUNPOD_API_BASE_URL": cloud_of_ours.base_url}
    files = {"RUNPOD_API_KEY_FILE": ACCOUNT, "HF_TOKEN_FILE": HUB, "CANARY_FILE": STAGE}
    for name, value in files.items():
        path = tmp_path / name
        path.write_text(value)
        path.chmod(0o600)
        places[name] = str(path)
    laptop = Laptop(tmp_path / "project", cloud_of_ours, places)
    laptop.write()
    config = laptop.folder / "podctl.toml"
    declared = 'secrets = ["HF_TOKEN", "CANARY"]\ntitle = "Say hello"'
    text = config.read_text().replace('"emulator"', '"runpod"')
    config.write_text(text.replace('title = "Say hello"', declared))
    (laptop.folder / "job.sh").write_text(JOB)
    return laptop


Say = Callable[..., bytes]


@pytest.fixture
def say(
    project: Laptop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Say:
    """Everything that one of podctl's commands says, run here."""
    monkeypatch.chdir(project.folder)
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)

    def said(*words: str) -> bytes:
        capsys.readouterr()
        run(words)
        shown = capsys.readouterr()
        return (shown.out + shown.err).encode()

    return said


def test_row_77_79_no_secret_is_anywhere_after_a_whole_run(project: Laptop, say: Say) -> None:
    """Account key, pod key, Hub token, stage secret: in no file, output, request or process."""
    sky = project.cloud.state_dir
    canaries = Canaries({"account": ACCOUNT, "hub": HUB, "stage": STAGE})
    cloud = Path(f"/proc/{project.cloud.process.pid}/cmdline").read_bytes()
    watch = Watch(canaries, cloud)
    with watch.watching():
        process = project.start("run", "hello", "-y", "--give-secrets")
        work = until(lambda: _started(sky), 120)
        (pod,) = project.living_pods()
        canaries.secrets["pod"] = until(lambda: _key_of(pod["id"]), 60)
        seen = watch.looks
        until(lambda: watch.looks > seen + 1, 60)
        volume = canaries.in_files(work.parent.parent.parent.rglob("*"))
        said = [say("status"), say("status", "--json"), say("logs", "hello"), say("logs", "--json")]
        (work / "go").write_text("1")
        said += [text.encode() for text in process.communicate(timeout=180)]
    assert process.returncode == 0, said[-1].decode()
    for words in (["status"], ["logs", "hello"], ["logs", "hello", "--json"], ["cost"], ["doctor"]):
        said.append(say(*words))
    for words in (["verify", "--all"], ["locks"], ["gc"], ["why", "hello"], ["cost", "--json"]):
        said.append(say(*words))

    # The look finds what there is to find: what the job itself printed, and was given.
    log = str(work.parent / "job.log")
    assert volume.pop(log) == {"hub", "stage"}
    assert volume.pop(str(work.parent / "metrics.jsonl")) == {"hub", "stage"}
    assert watch.job == {"stage"}
    kept = (project.folder / ".podctl/runs/hello-0001/job.log").read_bytes()
    assert kept.count(b"plain ****") == 2
    assert (project.folder / "locks/hello.json").exists()
    # And it finds nothing else.
    assert volume == {}
    assert watch.leaks == {}
    assert canaries.found_in(b"\n".join(said)) == set()
    assert canaries.in_files(project.folder.rglob("*")) == {}
    assert canaries.found_in((sky / "traffic.jsonl").read_bytes()) == set()
    assert b"PODCTL_NONCE" in (sky / "traffic.jsonl").read_bytes()


def _started(sky: Path) -> Path | None:
    """The job's work folder, once it has said everything; folders come and go meanwhile."""
    for folder, _, names in os.walk(sky / "pods"):
        if "up" in names and folder.endswith("runs/hello-0001/work"):
            return Path(folder)
    return None


def _key_of(pod: str) -> str | None:
    """The key that the provider gave the pod, as its first process has it."""
    for folder in Path("/proc").glob("[0-9]*"):
        pairs = dict(
            pair.split(b"=", 1) for pair in _read(folder / "environ").split(b"\0") if b"=" in pair
        )
        if pairs.get(b"RUNPOD_POD_ID") == pod.encode() and b"RUNPOD_API_KEY" in pairs:
            return pairs[b"RUNPOD_API_KEY"].decode()
    return None
