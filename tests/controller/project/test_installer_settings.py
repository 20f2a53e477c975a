"""This machine's package indexes, proxies and certificates, as a pod's environment gets them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import certifi
import pytest

from controller.planner.pod_spec import job_spec
from controller.project.installer_address import parse
from controller.project.installer_settings import Settings, settings_of
from controller.project.project import Project
from remote import contract
from remote.contract import Environment
from remote.pod import installer_settings as settings
from remote.pod.paths import PodPaths
from tests.controller.project.test_environment_files import TOML
from tests.controller.transfer.test_snapshot import lay
from tests.remote.test_environment import PATH, wheel
from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop
from tests.support.package_index import PackageIndex, serving
from tests.support.pod_side import PodSide

PASSWORD = "kanarienvogel-7Q"  # pragma: allowlist secret
TOKEN = "a1b2c3d4e5f6a7b8c9d0e1f2"  # pragma: allowlist secret
LOCKED = '{ kind = "lock", lock = "requirements.txt" }'


def found(
    folder: Path,
    environ: dict[str, str],
    *,
    emulated: bool = False,
    environment: str = LOCKED,
    lock: str = "numpy\n",
) -> Settings:
    toml = TOML.format(environment=environment)
    lay(folder, {"podctl.toml": toml, "requirements.txt": lock})
    project = Project(folder)
    nowhere = {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_CONFIG_DIRS": str(folder / "etc")}
    stages = [project.stages["job"]]
    own = {"PIP_CONFIG_FILE": os.devnull, "UV_CONFIG_FILE": str(folder / "uv.toml")}
    whole = nowhere | own | environ
    return settings_of(folder, stages, emulated=emulated, environ=whole)


def given(settings_: Settings) -> dict[str, Any]:
    variables = settings_.document()["variables"]
    assert isinstance(variables, dict)
    return variables


@pytest.mark.parametrize(
    ("text", "shown", "secrets"),
    [
        ("https://h.example/simple", "https://h.example/simple", ()),
        (f"https://me:{PASSWORD}@h.example:8/s", "https://***@h.example:8/s", (PASSWORD,)),
        (f"https://{TOKEN}@h.example/s", "https://***@h.example/s", (TOKEN,)),
        (f"https://h.example/{TOKEN}/simple/", "https://h.example/***/simple/", (TOKEN,)),
        (f"https://h.example/s?key={PASSWORD}", "https://h.example/s?***", (f"key={PASSWORD}",)),
        (f"me:{PASSWORD}@proxy.example:3128", "http://***@proxy.example:3128", (PASSWORD,)),
        ("proxy.example:3128", "http://proxy.example:3128", ()),
        ("own=https://h.example/simple", "https://h.example/simple", ()),
        ("http://h:port/", "(no address)", ("http://h:port/",)),
        ("/opt/wheels", "/opt/wheels", ()),
    ],
)
def test_of_an_address_no_login_is_shown(text: str, shown: str, secrets: tuple[str, ...]) -> None:
    """Neither a password nor a token, wherever it stands in it."""
    address = parse(text)

    assert (address.shown, address.secrets) == (shown, secrets)


@pytest.mark.parametrize(
    ("text", "rented", "emulated"),
    [
        ("http://localhost:3128", False, True),
        ("http://127.0.0.1:9/", False, True),
        ("http://[::1]:9/", False, True),
        ("http://10.1.2.3:9/", False, True),
        ("http://192.168.0.1/", False, True),
        ("http://169.254.1.1/", False, True),
        ("http://proxy:3128", False, True),
        ("http://proxy.corp:3128", False, True),
        ("file:///opt/simple", False, False),
        ("./wheels", False, False),
        ("https://93.184.216.34/", True, True),
        ("https://pypi.example.com/simple", True, True),
    ],
)
def test_what_a_pod_does_not_reach_stays_here(text: str, rented: bool, emulated: bool) -> None:
    """This machine and its network are reached from a pod of the emulator only, and its
    paths from none."""
    assert (parse(text).stays(emulated=False) == "") == rented
    assert (parse(text).stays(emulated=True) == "") == emulated


def test_both_tools_are_told_what_one_of_them_is_told_here(tmp_path: Path) -> None:
    """uv's variables and file hold over pip's; pip's hold where uv is told nothing of indexes."""
    uv = {"UV_INDEX": "own=https://own.example/s https://b.example/s"}
    pip = {"PIP_INDEX_URL": "https://pip.example/s", "PIP_TRUSTED_HOST": "pip.example"}
    (tmp_path / "uv.toml").write_text('[[index]]\nurl = "https://uv.example/s"\ndefault = true\n')

    assert given(found(tmp_path, uv | pip)) == {
        "UV_DEFAULT_INDEX": "https://uv.example/s",
        "PIP_INDEX_URL": "https://uv.example/s",
        "UV_INDEX": "own=https://own.example/s https://b.example/s",
        "PIP_EXTRA_INDEX_URL": "https://own.example/s https://b.example/s",
        "UV_INSECURE_HOST": "pip.example",
        "PIP_TRUSTED_HOST": "pip.example",
    }
    (tmp_path / "uv.toml").unlink()
    assert given(found(tmp_path, pip))["UV_DEFAULT_INDEX"] == "https://pip.example/s"


def test_pips_own_files_are_read_as_pip_reads_them(tmp_path: Path) -> None:
    """The last file that has a key decides; several addresses stand on several lines."""
    lay(
        tmp_path,
        {
            "etc/pip/pip.conf": "[global]\nindex-url = https://a.example\ntimeout = 5\n",
            "config/pip/pip.conf": "[install]\nindex_url = https://b.example\n"
            "[global]\nextra-index-url =\n  https://c.example\n  https://d.example\n"
            "proxy = http://p.example:3128\n",
        },
    )
    variables = given(found(tmp_path, {"PIP_CONFIG_FILE": ""}))

    assert variables["UV_DEFAULT_INDEX"] == "https://b.example"
    assert variables["PIP_EXTRA_INDEX_URL"] == "https://c.example https://d.example"
    assert variables["HTTPS_PROXY"] == variables["http_proxy"] == "http://p.example:3128"


def test_a_file_of_pips_that_cannot_be_read_is_pips_affair(tmp_path: Path) -> None:
    """Broken files and ones that are not there change nothing."""
    lay(tmp_path, {"config/pip/pip.conf": "index-url = x\n", "uv.toml": "= 1\n"})

    assert given(found(tmp_path, {"PIP_CONFIG_FILE": str(tmp_path)})) == {}


def test_a_local_proxy_is_said_and_not_sent(tmp_path: Path) -> None:
    """With it no NO_PROXY goes either; on the emulator both do."""
    environ = {"HTTPS_PROXY": "http://127.0.0.1:3128", "no_proxy": "a.example"}
    rented, here = found(tmp_path, environ), found(tmp_path, environ, emulated=True)

    assert given(rented) == {}
    (line,) = rented.lines()
    assert line.startswith("HTTPS_PROXY http://127.0.0.1:3128 stays here")
    assert given(here)["https_proxy"] == environ["HTTPS_PROXY"]
    assert given(here)["NO_PROXY"] == "a.example"


def test_of_files_of_authorities_the_certificates_go(tmp_path: Path) -> None:
    """Nothing else that stands in one, such as a key; each once, with the public ones."""
    public = Path(certifi.where()).read_text()
    own = public[public.index("-----BEGIN") :].split("-----END CERTIFICATE-----")[0]
    own = own.replace("\n", "\r\n") + "-----END CERTIFICATE-----\r\n"
    marks = ["-----BEGIN " + "PRIVATE KEY-----", "-----END " + "PRIVATE KEY-----"]
    (tmp_path / "own.pem").write_text(f"# ours\n{marks[0]}\n{TOKEN}\n{marks[1]}\n{own}")
    (tmp_path / "empty.pem").write_text("")
    files = {"SSL_CERT_FILE": str(tmp_path / "own.pem"), "PIP_CERT": str(tmp_path / "empty.pem")}
    settings_ = found(tmp_path, files)

    assert settings_.authorities == ("SSL_CERT_FILE",)
    assert settings_.certificates.count("BEGIN CERTIFICATE") == public.count("BEGIN CERTIFICATE")
    assert TOKEN not in settings_.certificates
    assert "certificates of SSL_CERT_FILE" in next(settings_.lines())
    assert found(tmp_path, {"PIP_CERT": str(tmp_path / "empty.pem")}).certificates == ""


def test_logins_are_secrets_and_never_shown(tmp_path: Path) -> None:
    """In addresses, by uv's variables of a named index, and those that a lock takes as ${NAME}."""
    environ = {
        "UV_INDEX": f"own=https://me:{PASSWORD}@own.example/s",
        "UV_INDEX_OWN_PASSWORD": PASSWORD,
        "INDEX_LOGIN": PASSWORD,
        "OTHER": PASSWORD,
    }
    lock = "--extra-index-url https://${INDEX_LOGIN}@x.example/s # ${OTHER}\n-r ${HOME}/x\n"
    settings_ = found(tmp_path, environ, lock=lock)

    assert settings_.secrets == ("UV_INDEX", "UV_INDEX_OWN_PASSWORD", "INDEX_LOGIN")
    assert given(settings_)["INDEX_LOGIN"] == PASSWORD
    assert PASSWORD not in " ".join(settings_.lines()) + repr(settings_)


@pytest.mark.parametrize("environment", ['{ kind = "none" }', LOCKED[:-1] + ", settings = false }"])
def test_nothing_is_handed_over_where_nothing_is_installed_or_wished(
    tmp_path: Path, environment: str
) -> None:
    """`settings = false` keeps all of it here."""
    environ = {"UV_INDEX_URL": "https://a.example", "SSL_CERT_FILE": certifi.where()}

    assert found(tmp_path, environ, environment=environment) == Settings()


def test_the_order_for_a_pod_says_nothing_of_them(tmp_path: Path) -> None:
    """The job's specification, which lies on the volume, is the same with and without."""
    found(tmp_path, {})
    stage = Project(tmp_path).stages["job"]
    spec = json.loads(contract.dump(job_spec(stage, "r1", "c" * 64)))

    assert spec["environment"].keys() == {"lock", "provides", "deadline_seconds", "install"}


# -- on the pod --------------------------------------------------------------------------------


def hand(pod: PodSide, document: Any, rc: int = 0) -> None:
    pod.call("settings", "--run", "r1", stdin=json.dumps(document).encode(), rc=rc)


def handed(pod: PodSide) -> list[Path]:
    return [*pod.folder.rglob("settings-r1/*")]


def test_they_hold_for_the_installation_alone(pod: PodSide, tmp_path: Path) -> None:
    """uv has them, the job has not, and they are gone once everything is installed."""
    (tmp_path / "bin").mkdir()
    script = (
        f"#!/bin/sh\nenv >> {tmp_path}/seen\n[ $1 = --version ] && echo uv 1 && exit 0\nexit 1\n"
    )
    (tmp_path / "bin/uv").write_text(script)
    (tmp_path / "bin/uv").chmod(0o755)
    pod.env["PATH"] = f"{tmp_path / 'bin'}:{pod.env['PATH']}"
    pod.work().mkdir(parents=True)
    (pod.work() / "a.lock").write_text("numpy\n")
    hand(pod, {"variables": {"UV_DEFAULT_INDEX": "https://a.example"}, "certificates": "PEM\n"})
    modes = {one.stat().st_mode & 0o777 for one in handed(pod)}
    pod.start(pod.spec("", environment=Environment(lock="a.lock")))
    end = pod.ended()
    seen = (tmp_path / "seen").read_text()

    assert end.reason == "environment"
    assert modes == {0o600}
    assert "UV_DEFAULT_INDEX=https://a.example" in seen
    assert "settings-r1/authorities.pem" in seen
    assert handed(pod) == []


def test_a_container_that_lost_them_waits_for_them(pod: PodSide) -> None:
    """Where the environment is still to be made; what is installed goes on without."""
    place = PodPaths(pod.root, pod.folder / "run", pod.folder / "run")
    place.memory.mkdir(exist_ok=True)
    settings.keep(place, "r1", b'{"variables": {}, "certificates": ""}')
    assert not settings.missing(place, "r1")

    settings.forget(place, "r1")
    assert settings.missing(place, "r1")
    settings.installed(place, "r1", Path("python"))
    assert not settings.missing(place, "r1")
    assert not settings.missing(place, "never-handed")


def test_a_pod_that_died_while_it_installed_does_not_go_on_without_them(
    pod: PodSide, tmp_path: Path
) -> None:
    """The guard's start of the rebooted container is refused; the controller's has them again."""
    (tmp_path / "bin").mkdir()
    script = f"#!/bin/sh\n[ $1 = --version ] && echo uv 1 && exit 0\necho > {tmp_path}/at\n"
    script += f"until [ -e {tmp_path}/go ]; do sleep 0.05; done\nexit 1\n"
    (tmp_path / "bin/uv").write_text(script)
    (tmp_path / "bin/uv").chmod(0o755)
    pod.env["PATH"] = f"{tmp_path / 'bin'}:{pod.env['PATH']}"
    pod.work().mkdir(parents=True)
    (pod.work() / "a.lock").write_text("numpy\n")
    spec = pod.spec("", environment=Environment(lock="a.lock"))
    document = {"variables": {}, "certificates": ""}
    hand(pod, document)
    pod.start(spec)
    until((tmp_path / "at").exists)
    pod.reboot()
    pod.start(spec, "--unattended", rc=77)

    (tmp_path / "go").touch()
    hand(pod, document)
    pod.start(spec)
    assert pod.ended().reason == "environment"


@pytest.mark.parametrize(
    "document",
    [
        {"variables": {"RUNPOD_API_KEY": "x"}, "certificates": ""},
        {"variables": {"PATH": "/x"}, "certificates": ""},
        {"variables": {"LD_PRELOAD": "/x"}, "certificates": ""},
        {"variables": {"A": 1}, "certificates": ""},
        {"variables": {}},
        [],
    ],
)
def test_what_is_no_setting_is_refused(pod: PodSide, document: Any) -> None:
    """Nothing of it is kept."""
    hand(pod, document, rc=65)

    assert handed(pod) == []


# -- the whole way -----------------------------------------------------------------------------

STAGE = """
[stages.own]
command = ["python", "-c", "import podctl_demo_wheel as w, os; w.main(); print(dict(os.environ))"]
outputs = ["out/**"]
hours = 0.01
max_hours = 0.1
criteria = [{ kind = "exists", path = "out/a" }]
hardware = { cpu = "cpu5c", vcpu_count = 2, disk_gb = 10 }
environment = { kind = "lock", lock = "requirements.txt" }
"""


def content(path: Path) -> bytes:
    """What a file holds; nothing where it is gone by now, as a compiler's temporary file is."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def test_an_index_that_wants_a_login_serves_a_pod_once_that_was_allowed(
    laptop: Laptop, tmp_path: Path
) -> None:
    """Asked for like a secret; the password is in no output, state, log or file of the pod."""
    wheel(tmp_path / "wheels", "podctl_demo_wheel")
    laptop.write(more=STAGE)
    (laptop.folder / "requirements.txt").write_text("podctl_demo_wheel\n")
    with serving(PackageIndex(tmp_path / "wheels", PASSWORD)) as index:
        laptop.environment |= {"UV_DEFAULT_INDEX": index.url, "PATH": PATH}
        plan = laptop.podctl("plan", "own", expect=2)
        refused = laptop.podctl("run", "own", "-y", expect=2)
        told = laptop.podctl("run", "own", "-y", "--give-secrets")

    assert "UV_DEFAULT_INDEX http://***@127.0.0.1" in plan.out
    assert "UV_DEFAULT_INDEX" in plan.err
    assert "UV_DEFAULT_INDEX" in refused.err
    everything = [laptop.folder, laptop.cloud.state_dir]
    kept = [path for top in everything for path in top.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if PASSWORD.encode() in content(path)]
    for done in (plan, refused, told):
        assert PASSWORD not in done.out + done.err
    log = next((laptop.folder / ".podctl/runs").glob("own-*/job.log")).read_text()
    assert "'UV_DEFAULT_INDEX'" not in log  # the job itself has no use for it
