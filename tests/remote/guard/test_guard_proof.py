"""Whether the dead-man switch can still strike: proven, repeated, and told when it cannot."""

from __future__ import annotations

import datetime
import ipaddress
import json
import signal
import socket
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from remote import guard
from remote.contract import GuardLimits
from tests.support.guard_api import LONG, POD, Api, Bench, serving
from tests.support.pod_side import second_pod, until

QUICK_PROOF = GuardLimits(boot_grace=60.0, idle=0.2, hard_cap=60.0)  # proves every 2 s


def test_row_64_a_forbidden_key_is_not_armed_until_it_works(bench: Bench) -> None:
    """403 is said, tried again, and taken back once the key is good."""
    bench.api.statuses["/v2/pods/pod1"] = [403, 403, 200]
    bench.start(GuardLimits(boot_grace=4.0, idle=60.0, hard_cap=60.0))
    first = bench.reports(armed=False, detail="cannot read this pod: HTTP 403")
    until(lambda: "PODCTL-GUARD armed" in bench.log(), "the key to work")

    assert not first.armed
    assert "not armed: cannot read this pod: HTTP 403" in bench.log()


def test_row_64_a_key_that_is_revoked_disarms_a_guard_that_was_armed(bench: Bench) -> None:
    """The proof is repeated: a key that stops working while a job runs is told, not assumed."""
    bench.start(QUICK_PROOF)
    bench.reports(armed=True)
    bench.api.statuses[POD] = [401]
    seen = bench.reports(armed=False)
    bench.api.statuses[POD] = [200]
    bench.reports(armed=True)

    assert seen.detail == "cannot read this pod: HTTP 401"
    assert "PODCTL-GUARD not armed: cannot read this pod: HTTP 401" in bench.log()


def test_row_64_an_api_that_does_not_answer_takes_no_proof_back(bench: Bench) -> None:
    """Only a refusal disarms: an outage at the provider is no reason to give up a good job."""
    bench.start(QUICK_PROOF)
    bench.reports(armed=True)
    before = len(bench.api.of(POD))
    bench.api.statuses[POD] = [500]
    until(lambda: len(bench.api.of(POD)) > before + 2, f"proofs that fail: {bench.log()}")
    seen = bench.report()

    assert seen.armed
    assert "not armed" not in bench.log()


def test_row_64_a_guard_that_falls_silent_during_a_job_is_not_armed(bench: Bench) -> None:
    """Its last word counts for a minute: status carries its age, then says that it is silent."""
    pod = bench.pod
    process = bench.start(LONG)
    bench.reports(armed=True)
    pod.start(pod.spec("open('up', 'w').write('1')\ntime.sleep(60)\n", outputs=("up",)))
    pod.file("up")
    alive = pod.status().guard
    process.send_signal(signal.SIGSTOP)
    path = pod.local / "guard.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | {"monotonic": said["monotonic"] - 61}))
    silent = pod.status().guard
    path.write_text(json.dumps(said | {"boot_id": "a life before"}))
    before = pod.status().guard
    process.kill()

    assert alive is not None
    assert alive.armed
    assert alive.age_seconds is not None
    assert 0 <= alive.age_seconds < 60
    assert silent is not None
    assert not silent.armed
    assert silent.detail.startswith("the guard was silent for 6")
    assert silent.age_seconds is not None
    assert silent.age_seconds > 60
    assert before is not None
    assert (before.armed, before.stops_in_seconds) == (False, None)


@pytest.fixture
def private(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate that no system knows, for 127.0.0.1, and a server's context with it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, form = tmp_path / "cacert.pem", serialization
    path.write_bytes(made.public_bytes(form.Encoding.PEM))
    secret = tmp_path / "key.pem"
    secret.write_bytes(
        key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, secret)
    return path, context


def test_row_64_an_answer_without_a_known_certificate_arms_nothing(
    bench: Bench, private: tuple[Path, ssl.SSLContext]
) -> None:
    """Whoever answers in the provider's name is not believed; the log says what is missing."""
    with serving(bench.api, private[1]) as url:
        bench.start(LONG, PODCTL_API_BASE=url)
        seen = until(
            lambda: r if "CERTIFICATE" in (r := bench.report()).detail else None, bench.log()
        )

    assert not seen.armed
    assert "not armed: cannot read this pod" in bench.log()
    assert not bench.api.calls


def test_row_64_an_api_that_never_answers_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every call has its deadline: a black hole costs seconds, not the clock."""
    monkeypatch.setattr(guard, "CALL_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as hole:
        api = guard.Api(f"http://127.0.0.1:{hole.getsockname()[1]}", "rpa_pod", "pod1")
        socket.setdefaulttimeout(30.0)  # of whatever forgets its own
        began = time.monotonic()
        try:
            seen = api.reads_itself()
            refused = api.stop()
        finally:
            socket.setdefaulttimeout(None)

    assert time.monotonic() - began < 20
    assert seen[0] == 0
    assert refused is not None


def test_row_64_an_image_without_certificates_is_served_by_those_of_its_python(
    private: tuple[Path, ssl.SSLContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slim image has none of its own: what pip brought along proves the provider."""
    house = tmp_path / "lib"
    (house / "python3/dist-packages/pip").mkdir(parents=True)
    (tmp_path / "none.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(guard, "HOUSES", (str(house),))
    with serving(Api(), private[1]) as url:
        without = guard.Api(url, "rpa_pod", "pod1").reads_itself()
        private[0].rename(house / "python3/dist-packages/pip/cacert.pem")
        found = guard.Api(url, "rpa_pod", "pod1").reads_itself()

    assert without[0] == 0
    assert found == (200, None)


def test_row_64_a_guard_started_again_goes_on_counting(bench: Bench) -> None:
    """Killing it gains no time: the hard cap is the boot's."""
    limits = GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=60.0)
    first = bench.start(limits)
    bench.reports(armed=True)
    bench.beat()
    before = bench.reports(phase="idle")
    boot = json.loads((bench.pod.local / "boot.json").read_text())
    first.kill()
    first.wait()
    (bench.pod.local / "guard.json").unlink()
    bench.start(limits)
    after = bench.reports(armed=True)

    assert before.hard_cap_in_seconds is not None
    assert after.hard_cap_in_seconds is not None
    assert after.hard_cap_in_seconds < before.hard_cap_in_seconds
    assert after.phase == "idle"  # it does not take the pod for one that was never visited
    assert json.loads((bench.pod.local / "boot.json").read_text()) == boot


def test_two_guards_on_one_volume_speak_for_their_own_pods(bench: Bench) -> None:
    """What one says does not hide what the other said."""
    other = Bench(second_pod(bench.pod), bench.api, bench.base)
    bench.start(LONG)
    bench.reports(armed=True)
    other.start(LONG, PODCTL_BOOT="boot2", RUNPOD_POD_ID="pod2")
    other.reports(boot_id="boot2")
    seen = bench.pod.status().guard

    assert seen is not None
    assert (seen.boot_id, seen.armed) == ("boot1", True)
