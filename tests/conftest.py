"""Fixtures that every test may use.

Each imports what it needs when a test asks for it, so that a test of pure code starts quickly.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from controller.providers.emulator.settings import EmulatorSettings
    from controller.ssh.session import Session
    from remote.contract import Layout
    from tests.support.emulated_cloud import EmulatedCloud
    from tests.support.guard_api import Bench
    from tests.support.laptop import Laptop
    from tests.support.pod_side import PodSide
    from tests.support.shell import Shell
    from tests.support.sshd_server import Server

# An installed podctl is compiled; without this every process of a test compiles it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test asks the hub but its own

# What podctl remembers of its user: not of whoever runs the tests.
_HOME = tempfile.TemporaryDirectory(prefix="podctl-tests-user-")
os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = _HOME.name
# No test asks the real hub of models: whoever does without a hub of its own is refused at once.
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"

# The same examples in every run, and none that fails because the machine is busy.
settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

# Pods are processes of Linux. Elsewhere, or when asked for, only the laptop's side is tested.
WITHOUT_PODS = sys.platform != "linux" or "PODCTL_TEST_WITHOUT_PODS" in os.environ
POD_FIXTURES = {"shared_cloud", "new_cloud", "pod", "server"}
POD_TESTS = tuple(
    Path(__file__).parent / name for name in ("remote", "end_to_end", "crash", "bench")
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a pod where there are none."""
    if not WITHOUT_PODS:
        return
    skip = pytest.mark.skip(reason="pods need Linux")
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & POD_FIXTURES or set(POD_TESTS) & set(item.path.parents):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def shared_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    """One fast emulator for this worker; tests take `cloud`."""
    from tests.support.emulated_cloud import start_cloud

    cloud = start_cloud(tmp_path_factory.mktemp("cloud"))
    yield cloud
    cloud.process.stop()


@pytest.fixture
def cloud(shared_cloud: EmulatedCloud) -> Iterator[EmulatedCloud]:
    """A fast emulated cloud with an empty account of 100 dollars and no faults."""
    yield shared_cloud
    shared_cloud.reset()
    shared_cloud.check_traffic()


@pytest.fixture
def new_cloud(tmp_path: Path) -> Iterator[Callable[..., EmulatedCloud]]:
    """Starts emulators of the test's own: `new_cloud(settings)`, again on the same state."""
    from tests.support.emulated_cloud import FAST, start_cloud

    started: list[EmulatedCloud] = []

    def start(settings: EmulatorSettings = FAST, folder: str = "own-cloud") -> EmulatedCloud:
        started.append(start_cloud(tmp_path / folder, settings))
        return started[-1]

    yield start
    for cloud in started:
        if cloud.process.popen.poll() is None:
            cloud.reset()
            cloud.process.stop()
        cloud.check_traffic()


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[PodSide]:
    """A pod's agent, supervisor and jobs in a folder of this machine; all ended afterwards."""
    from tests.support.pod_side import PodSide

    pod = PodSide(tmp_path / "pod")
    yield pod
    pod.kill_all()


@pytest.fixture
def bench(pod: PodSide) -> Iterator[Bench]:
    """A guard for `pod`, and the API that it speaks to."""
    from tests.support.guard_api import Api, Bench, serving

    api = Api()
    with serving(api) as base:
        yield Bench(pod, api, base)


@pytest.fixture
def laptop(tmp_path: Path, cloud: EmulatedCloud) -> Laptop:
    """A project folder whose provider is the emulator; `write` makes its one stage."""
    from tests.support.laptop import Laptop

    return Laptop(tmp_path / "project", cloud)


@pytest.fixture
def shell(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """The laptop's project with a job of 4 seconds, driven from this process."""
    from tests.support.shell import Shell

    laptop.write(seconds=4)
    monkeypatch.chdir(laptop.folder)
    monkeypatch.setenv("PODCTL_EMULATOR_URL", laptop.cloud.base_url)
    return Shell(laptop.folder, capsys)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real sshd that stands for a pod's; `session` is connected to it."""
    from tests.support.sshd_server import sshd

    with sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def session(server: Server) -> Iterator[Session]:
    """A connection to `server`."""
    with server.connect() as session:
        yield session


@pytest.fixture
def layout(session: Session, tmp_path: Path) -> Layout:
    """A volume of this test's own on that pod."""
    return session.layout(f"/{tmp_path.name}")
