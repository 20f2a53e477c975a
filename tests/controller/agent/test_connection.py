"""Reaching the right pod: moved, spoofed, replaced by a stranger, or without an API to ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent.connection import PodConnection, refused
from controller.agent.guard_bootstrap import bootstrap
from controller.credentials.secret import Secret
from controller.diagnostics.doctor import public_key
from controller.errors import ConnectionLost
from controller.project.project import Project
from controller.providers.base import Endpoint
from controller.providers.runpod.provider import RunPod
from controller.ssh.host_keys import HostKeyMismatch, PinnedKeys
from controller.ssh.pod_identity import UnknownIdentity, WrongPod, connect_verified
from remote.contract import ENV_NONCE
from tests.support.emulated_cloud import EmulatedCloud, until
from tests.support.laptop import Laptop
from tests.support.split_network import SplitNetwork, split_network
from tests.support.sshd_server import Server, needs_sshd, sshd

pytestmark = needs_sshd
NONCE, OTHER = "0123456789abcdef", "fedcba9876543210"


class SilentLog(RunPod):
    """A cloud whose pods print no host keys."""

    def container_log(self, pod_id: str, tail: int = 1000) -> tuple[str, ...]:
        return ()


class CountedLog(RunPod):
    """A cloud that counts how often a log is read."""

    reads = 0

    def container_log(self, pod_id: str, tail: int = 1000) -> tuple[str, ...]:
        CountedLog.reads += 1
        return super().container_log(pod_id, tail)


@pytest.fixture
def network(cloud: EmulatedCloud) -> Iterator[SplitNetwork]:
    with split_network(cloud.base_url, cloud.api_key) as split:
        yield split


@pytest.fixture
def project(tmp_path: Path, cloud: EmulatedCloud) -> Project:
    Laptop(tmp_path, cloud).write()
    project = Project(tmp_path)
    project.prepare()
    return project


def provider(network: SplitNetwork, cloud: EmulatedCloud, kind: type[RunPod] = RunPod) -> RunPod:
    return kind(Secret(cloud.api_key), network.base_url, name="emulator")


def rented(cloud: EmulatedCloud, project: Project, nonce: str) -> str:
    """A pod as podctl rents them; its id."""
    env = {ENV_NONCE: nonce, "PUBLIC_KEY": public_key(project)}
    return str(cloud.create(name=f"podctl-hello-{nonce}", env=env, args=bootstrap())["id"])


def place(cloud: RunPod, pod: str, unlike: Endpoint | None = None) -> Endpoint:
    """Where the pod is, once it is up and sshd has printed its keys."""

    def look() -> Endpoint | None:
        pod_record = cloud.get(pod)
        moved = pod_record is not None and pod_record.ready and pod_record.endpoint != unlike
        return pod_record.endpoint if pod_record and moved else None

    return until(look, 60)


def reached(link: PodConnection, pod: str, endpoint: Endpoint) -> None:
    """Connect, as patiently as the loop does."""

    def look() -> bool:
        try:
            link.connect(pod, endpoint)
        except ConnectionLost as error:
            if refused(error):
                raise
            return False
        return True

    until(look, 60)


def test_row_49_a_reboot_moves_the_pod_and_changes_its_key(
    cloud: EmulatedCloud, network: SplitNetwork, project: Project
) -> None:
    """The new port is read from the API and the new host key from the log: both are followed."""
    api = provider(network, cloud)
    link = PodConnection(project, api, "hello")
    pod = rented(cloud, project, NONCE)
    old = place(api, pod)
    reached(link, pod, old)
    first = PinnedKeys(project.known_hosts, pod).pinned()
    cloud.reboot_pod(pod)
    new = place(api, pod, unlike=old)
    reached(link, pod, new)

    assert new.port != old.port
    assert PinnedKeys(project.known_hosts, pod).pinned() != first
    assert str(new.port) in project.ssh_config.read_text()


def test_a_pinned_key_needs_no_log_and_a_connection_may_begin_ahead(
    cloud: EmulatedCloud, network: SplitNetwork, project: Project
) -> None:
    """The log proves the key once. Later the pinned key does, for another command too; what was
    begun ahead is the connection that the next call returns, and one that is not used is closed."""
    api = provider(network, cloud, CountedLog)
    pod = rented(cloud, project, NONCE)
    endpoint = place(api, pod)
    first = PodConnection(project, api, "hello")
    reached(first, pod, endpoint)
    read, shown = CountedLog.reads, PinnedKeys(project.known_hosts, pod).pinned()
    second = PodConnection(project, api, "hello")
    second.connect_ahead(pod, endpoint)
    session = second.connect(pod, endpoint)
    unused = PodConnection(project, api, "hello")
    unused.connect_ahead(pod, endpoint)
    unused.drop()

    assert shown
    assert read >= 1
    assert CountedLog.reads == read
    assert session.run(["echo", "yes"]).stdout == b"yes\n"
    assert second.connect(pod, endpoint) is session
    for link in (first, second):
        link.drop()


def test_row_50_another_sshd_at_the_pods_address_gets_nothing(
    cloud: EmulatedCloud,
    network: SplitNetwork,
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A spoofed host key is refused for good once the log had its time to show a new one, and not
    even before do we say who we are."""
    api = provider(network, cloud)
    pod = rented(cloud, project, NONCE)
    endpoint = place(api, pod)
    link = PodConnection(project, api, "hello")
    reached(link, pod, endpoint)
    link.drop()
    with sshd(tmp_path / "spoof") as spoof:
        (spoof.folder / "authorized_keys").write_text(public_key(project) + "\n")
        (way,) = [proxy for proxy in network.proxies.values() if proxy.port == endpoint.port]
        way.target = spoof.endpoint.port
        with pytest.raises(ConnectionLost) as early:  # it may have restarted a moment ago
            link.connect(pod, endpoint)
        monkeypatch.setattr("controller.agent.connection.LOG_LAG", 0.0)
        with pytest.raises(HostKeyMismatch) as raised:
            link.connect(pod, endpoint)
        text = (spoof.folder / "sshd.log").read_text()

    assert not refused(early.value)
    assert refused(raised.value)
    assert "Accepted publickey" not in text


def test_row_51_an_address_that_serves_another_pod_now(
    cloud: EmulatedCloud, network: SplitNetwork, project: Project
) -> None:
    """Where no log vouches for a key, a machine that lets us in and is not our pod is refused, and
    its key is not kept; our own pod is let in after that."""
    api = provider(network, cloud, SilentLog)
    pods = [rented(cloud, project, nonce) for nonce in (NONCE, OTHER)]
    ours, others = (place(api, pod) for pod in pods)
    link = PodConnection(project, api, "hello")
    reached(link, pods[1], others)
    with pytest.raises(WrongPod, match="another pod") as raised:
        link.connect(pods[0], others)
    pinned = PinnedKeys(project.known_hosts, pods[0]).pinned()
    reached(link, pods[0], ours)

    assert refused(raised.value)
    assert pinned == ()


@pytest.mark.parametrize(
    ("env", "error"),
    [
        ({"RUNPOD_POD_ID": "pod1", ENV_NONCE: NONCE}, None),
        ({"RUNPOD_POD_ID": "pod1", ENV_NONCE: OTHER}, WrongPod),
        ({"RUNPOD_POD_ID": "pod2", ENV_NONCE: NONCE}, WrongPod),
        ({"RUNPOD_POD_ID": "pod1"}, UnknownIdentity),
        ({}, UnknownIdentity),
    ],
)
def test_row_51_a_pod_knows_its_nonce(
    tmp_path: Path, server: Server, env: dict[str, str], error: type[ConnectionLost] | None
) -> None:
    """A key that nobody vouches for is kept only when the pod knows what it was created with."""
    boot = server.root / "run" / "podctl" / "boot.json"
    boot.parent.mkdir(parents=True, exist_ok=True)
    boot.write_text(json.dumps({"boot_id": "b", "pod": "x", "env": {"A": "b", **env}}))
    pins = PinnedKeys(tmp_path / "known_hosts", "pod1")
    got: ConnectionLost | None = None
    try:
        connect_verified(
            server.endpoint, server.key.path, pins, lambda: NONCE, deadline_seconds=20
        ).close()
    except ConnectionLost as one:
        got = one

    assert (type(got) if got else None) is error
    assert bool(pins.pinned()) is (error is None)


def test_row_48_without_the_api_a_known_pod_is_reached_by_its_pin(
    cloud: EmulatedCloud, network: SplitNetwork, project: Project, tmp_path: Path
) -> None:
    """A connection that has to be made anew while the API is away rests on the key seen before; a
    new key waits for the log, and is no refusal."""
    api = provider(network, cloud)
    pod = rented(cloud, project, NONCE)
    endpoint = place(api, pod)
    link = PodConnection(project, api, "hello")
    reached(link, pod, endpoint)
    link.drop()
    network.api_cut = True
    again = link.connect(pod, endpoint)
    assert again.run(["true"]).status == 0
    link.drop()
    with sshd(tmp_path / "new") as other, pytest.raises(ConnectionLost) as raised:
        link.connect(pod, other.endpoint)
    with pytest.raises(ConnectionLost) as unknown:
        link.connect("never-seen", endpoint)

    assert not refused(raised.value)
    assert not refused(unknown.value)
