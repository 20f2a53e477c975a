"""Who may speak to the emulator: not a page, not a pod, not another user of the machine."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from controller.errors import NotFound, UsageError
from controller.providers import emulator_keys
from controller.providers.emulator.container.container import default_mode
from controller.providers.emulator.server import key_document, start_process
from controller.providers.factory import Settings, access
from tests.support.emulated_cloud import FAST, EmulatedCloud, until

ROOT = Path(__file__).resolve().parents[4]
JSON = "application/json"
FAULTS = b'{"faults": []}'
QUERY = b'{"query": "{ myself { id } }"}'
# What a request can be for: to change, to look, to control, with a key or without.
DOORS = (
    ("POST", "/graphql?api_key={key}"),
    ("POST", "/graphql"),
    ("POST", "/v2/pods"),
    ("GET", "/v2/pods"),
    ("GET", "/v1/pod/x/logs"),
    ("GET", "/_emulator/health"),
    ("GET", "/_emulator/state"),
    ("PUT", "/_emulator/faults"),
    ("POST", "/_emulator/reset"),
    ("OPTIONS", "/v2/pods"),
)
FOREIGN = (
    {"Host": "evil.example"},
    {"Host": "evil.example:{port}"},
    {"Host": "127.0.0.1.evil.example:{port}"},
    {"Host": "localhost.evil.example:{port}"},
    {"Host": "127.0.0.1@evil.example:{port}"},
    {"Host": "127.0.0.1"},
    {"Host": "127.0.0.1:1"},
    {"Host": "192.168.0.1:{port}"},
    {"Host": ""},
    {"Origin": "https://evil.example"},
    {"Origin": "http://evil.example:{port}"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost"},
    {"Origin": "https://127.0.0.1:{port}"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


def ask(
    cloud: EmulatedCloud, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, Any]:
    """One request with exactly these headers, and the Host that is due unless it is given."""
    place = urlsplit(cloud.base_url)
    sent_headers = {
        name.replace("_", "-"): value.format(port=place.port) for name, value in headers.items()
    }
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=20)
    try:
        connection.putrequest(
            method, path.format(key=cloud.api_key), skip_host="Host" in sent_headers
        )
        for name, value in sent_headers.items():
            connection.putheader(name, value)
        if body or method in ("POST", "PUT"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def bearer(cloud: EmulatedCloud) -> str:
    return f"Bearer {cloud.api_key}"


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda headers: "-".join(*headers.items()))
def test_a_page_or_another_name_is_answered_at_no_door(
    cloud: EmulatedCloud, foreign: dict[str, str]
) -> None:
    """403 with the right key too: a page that guessed it, or a rebound name, gets nothing."""
    before = cloud.state()["request_count"]
    for method, path in DOORS:
        for key in ({"Authorization": bearer(cloud)}, {}):
            body = QUERY if method in ("POST", "PUT") else b""
            status, text = ask(cloud, method, path, body, Content_Type=JSON, **foreign, **key)
            assert status == 403, (method, path, text)
            assert "myself" not in text

    assert cloud.state()["request_count"] == before


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LocalHost:{port}"])
def test_our_own_name_is_answered(cloud: EmulatedCloud, host: str) -> None:
    """A program on this machine, and a person who types the address."""
    own = {"Host": host, "Authorization": bearer(cloud)}

    assert ask(cloud, "GET", "/v2/pods", **own)[0] == 200
    assert ask(cloud, "GET", "/v2/pods", **own, Sec_Fetch_Site="none")[0] == 200
    assert ask(cloud, "GET", "/v2/pods", **own, Origin=f"http://{host.lower()}")[0] == 200


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", None,
     "text/plain; application/json"],
)  # fmt: skip
def test_a_body_that_a_page_may_send_unasked_is_not_read(
    cloud: EmulatedCloud, kind: str | None
) -> None:
    """Only JSON that is said to be JSON: for that a browser asks first, and is refused."""
    headers = {} if kind is None else {"Content_Type": kind}
    for path in ("/graphql?api_key={key}", "/graphql", "/v2/pods"):
        sent = ask(cloud, "POST", path, QUERY, Authorization=bearer(cloud), **headers)
        assert sent[0] == 415, path
    if kind != "application/x-www-form-urlencoded":
        sent = ask(
            cloud, "PUT", "/_emulator/faults", FAULTS, Authorization=bearer(cloud), **headers
        )
        assert sent[0] == 415

    charset = ask(cloud, "POST", "/graphql?api_key={key}", QUERY, Content_Type=f"{JSON}; charset=x")
    assert charset[0] == 200


def test_the_control_room_takes_what_curl_sends(cloud: EmulatedCloud) -> None:
    """`curl -d` names no JSON; with the key in a header, and only so, it is answered (case 26)."""
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    path = "/_emulator/faults"

    assert ask(cloud, "PUT", path, FAULTS, Authorization=bearer(cloud), **form)[0] == 200
    assert ask(cloud, "PUT", path, FAULTS, **form)[0] == 401
    assert ask(cloud, "PUT", path + "?api_key={key}", FAULTS, **form)[0] == 401
    assert ask(cloud, "PUT", path, b"faults=x", Authorization=bearer(cloud), **form)[0] == 400


def test_the_attack_that_was_seen_makes_no_pod(cloud: EmulatedCloud) -> None:
    """A no-cors POST to GraphQL with the key in the query, as a page of another origin sends it."""
    deploy = (
        'mutation { podFindAndDeployOnDemand(input: {name: "x", imageName: "i", gpuTypeId: '
        '"NVIDIA A40", gpuCount: 1, containerDiskInGb: 5, volumeInGb: 0, '
        "dockerArgs: \"sh -c 'id > /tmp/pwned'\"}) { id } }"
    )
    status, _ = ask(
        cloud, "POST", "/graphql?api_key={key}", json.dumps({"query": deploy}).encode(),
        Origin="http://evil.example:9911", Content_Type="text/plain;charset=UTF-8",
        Sec_Fetch_Site="cross-site",
    )  # fmt: skip

    assert status == 403
    assert cloud.state()["pods"] == []


def test_the_control_room_opens_to_the_emulators_key_alone(cloud: EmulatedCloud) -> None:
    """Not without one, not to a wrong one, not in the query, and not to a pod's own."""
    created = cloud.create(args="bash -c 'echo $RUNPOD_API_KEY; sleep 600'")["id"]
    pod_key = until(lambda: cloud.log(created))[0]
    for method, path in (door for door in DOORS if door[1].startswith("/_emulator")):
        for key in (None, "wrong", pod_key, "rpa_emulator_guess"):
            assert cloud.api(method, path, key=key).status == 401
        asked = f"{path}?api_key={cloud.api_key}"
        assert cloud.api(method, asked, key=None).status == 401

    assert [pod["id"] for pod in cloud.state()["pods"]] == [created]


LOOK = """
import json, os, urllib.error, urllib.request
def asked(path, key):
    ask = urllib.request.Request(BASE + path, headers={"Authorization": "Bearer " + key})
    try:
        return urllib.request.urlopen(ask, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
key = os.environ["RUNPOD_API_KEY"]
print(json.dumps([
    os.path.exists(STATE), asked("/_emulator/state", key), asked("/_emulator/state", "rpa_x"),
    asked("/v2/pods", key), asked("/v2/pods/" + os.environ["RUNPOD_POD_ID"], key)
]), flush=True)
import time; time.sleep(600)
"""


@pytest.mark.skipif(default_mode() == "process", reason="here a pod is a process like any other")
def test_a_pod_finds_neither_the_key_nor_a_way_into_the_control_room(cloud: EmulatedCloud) -> None:
    """It reaches the API, as itself; the files of who started the emulator are not there."""
    script = f"BASE, STATE = {cloud.base_url!r}, {str(cloud.state_dir / 'emulator.json')!r}{LOOK}"
    pod = cloud.create(args=shlex.join(["python3", "-c", script]))
    document = json.loads(until(lambda: cloud.log(pod["id"]))[0])

    assert (cloud.state_dir / "emulator.json").exists()
    assert document == [False, 401, 401, 403, 200]


def test_a_key_in_the_query_is_the_emulators_and_for_old_graphql_clients(
    cloud: EmulatedCloud,
) -> None:
    """A pod's key is not taken from there, and REST takes none."""
    pod = cloud.create(args="bash -c 'echo $RUNPOD_API_KEY; sleep 600'")["id"]
    pod_key = until(lambda: cloud.log(pod))[0]
    stop = f'mutation {{ podStop(input: {{podId: "{pod}"}}) {{ id }} }}'
    response = cloud.api("POST", f"/graphql?api_key={pod_key}", {"query": stop}, key=None)

    assert response.status == 401
    assert cloud.api("GET", f"/v2/pods?api_key={cloud.api_key}", key=None).status == 401
    assert (cloud.pod(pod) or {})["status"] != "EXITED"


# -- the key ---------------------------------------------------------------------------------------


def test_each_start_draws_a_key_that_only_its_user_can_read(tmp_path: Path) -> None:
    """Two starts have two; the well-known one opens nothing; the file goes with the emulator."""
    keys = []
    for _ in range(2):
        emulator = start_process(tmp_path / "cloud", settings=FAST)
        try:
            path = tmp_path / "cloud" / "emulator.json"
            document = json.loads(path.read_text())
            cloud = EmulatedCloud(emulator, emulator.api_key)
            response = cloud.api("GET", "/v2/pods", key="rpa_emulator").status
            keys.append(document["api_key"])
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            for name in ("pods", "volumes"):  # whoever may look into the folder that was given
                assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o700
            assert (response, cloud.api("GET", "/v2/pods").status) == (401, 200)
            assert document == {
                "base_url": emulator.base_url,
                "api_key": emulator.api_key,
                "pid": emulator.pid,
            }
            assert emulator.api_key not in repr(emulator)
        finally:
            emulator.stop()
        assert not path.exists()

    assert len(set(keys)) == 2
    assert all(len(key) > 30 for key in keys)


class Served:
    """`podctl emulator` as a user starts it."""

    def __init__(self, folder: Path, *words: str, **env: str) -> None:
        self.env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **env}
        self.folder = folder
        self.process = subprocess.Popen(
            [*PODCTL, "emulator", "--port", "0", *words], cwd=folder, env=self.env,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.lines = [self.process.stdout.readline().strip() for _ in range(5)]

    @property
    def exports(self) -> dict[str, str]:
        return dict(re.findall(r"export (\w+)=(\S+)", "\n".join(self.lines)))

    def podctl(self, *words: str, folder: Path | None = None, **env: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [*PODCTL, *words], cwd=folder or self.folder, env={**self.env, **env},
            capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def stop(self) -> str:
        self.process.terminate()
        return self.process.communicate(timeout=60)[1]


PODCTL = (sys.executable, "-m", "controller")
PROJECT = '[project]\nname = "x"\nprovider = "emulator"\n'


def test_env_prints_what_a_client_needs_and_podctl_finds_it_by_the_address(tmp_path: Path) -> None:
    """By project, state folder, port or because it is the only one; after its end by none."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "podctl.toml").write_text(PROJECT)
    own = {"XDG_STATE_HOME": str(tmp_path / "state")}
    served = Served(tmp_path, "--state", "cloud", **own)
    try:
        url = served.exports["RUNPOD_API_BASE_URL"]
        wanted = "".join(f"{line}\n" for line in served.lines)
        keys = [
            served.podctl("emulator", "env"),
            served.podctl("emulator", "env", "--state", "cloud"),
            served.podctl("emulator", "env", "--port", url.rpartition(":")[2]),
        ]
        for stale in ("", "rpa_emulator"):
            code, _, err = served.podctl(
                "gc", folder=tmp_path / "project", RUNPOD_API_BASE_URL=url, RUNPOD_API_KEY=stale
            )
            assert code == 0, err
        notes = list((tmp_path / "state").rglob("emulators/*.json"))
        modes = [stat.S_IMODE(note.stat().st_mode) for note in notes]
        other = served.podctl("emulator", "env", XDG_STATE_HOME=str(tmp_path / "elsewhere"))
    finally:
        served.stop()
    result = served.podctl("emulator", "env")

    assert keys == [(0, wanted, "")] * 3
    assert modes == [0o600]
    assert other[0] == result[0] == NotFound.exit_code
    assert "none of your emulators is running" in result[2]
    assert not list((tmp_path / "state").rglob("emulators/*.json"))


def test_a_known_key_is_taken_for_tests_and_its_meaning_is_said(tmp_path: Path) -> None:
    """`--key rpa_emulator`: whoever knows it runs programs as this user."""
    served = Served(tmp_path, "--state", "cloud", "--key", "rpa_emulator")
    try:
        exports = served.exports
    finally:
        output = served.stop()
    wrong = served.podctl("emulator", "--port", "0", "--state", "c", "--key", "two words")

    assert exports["RUNPOD_API_KEY"] == "rpa_emulator"
    assert "programs as you while" in output
    assert wrong[0] == UsageError.exit_code


def test_a_key_is_found_by_its_address_only_while_its_emulator_lives(tmp_path: Path) -> None:
    """What a killed one left is not sent to whoever took its port."""
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    url = "http://127.0.0.1:4711"
    path = emulator_keys.register(key_document(url, "rpa_emulator_x"), url, environ)
    by_address = Settings(environ={**environ, "PODCTL_EMULATOR_URL": "http://localhost:4711"})
    alive = access("emulator", by_address).api_key.reveal()
    explicit = Settings(
        environ={**dict(by_address.environ), "PODCTL_EMULATOR_KEY": "rpa_emulator_mine"}
    )
    credentials = access("emulator", explicit).api_key.reveal()
    process = subprocess.Popen(["true"])
    process.wait()
    path.write_text(json.dumps({"base_url": url, "api_key": "rpa_emulator_x", "pid": process.pid}))
    dead = access("emulator", by_address).api_key.reveal()

    assert (alive, credentials, dead) == ("rpa_emulator_x", "rpa_emulator_mine", "rpa_emulator")
