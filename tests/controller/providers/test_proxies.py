"""The way to the provider: proxies and certificates as an environment may have them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from controller.credentials.secret import Secret
from controller.errors import PodctlError, UsageError
from controller.providers import certificates
from controller.providers.factory import Settings, access
from controller.providers.proxies import proxy_for
from tests.support.shell import Shell

API = "https://api.runpod.io"


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ({"HTTPS_PROXY": "p:3128"}, "http://p:3128"),
        ({"HTTPS_PROXY": " p "}, "http://p"),
        ({"https_proxy": "http://small:1", "HTTPS_PROXY": "http://big:1"}, "http://small:1"),
        ({"ALL_PROXY": "http://all:1"}, "http://all:1"),
        ({"ALL_PROXY": "socks5://s:1", "HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({"HTTP_PROXY": "http://other:1"}, None),
        ({"HTTPS_PROXY": "http://me:pass@p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://[::1]:8"}, "http://[::1]:8"),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "p:1", "no_proxy": "x, .runpod.io"}, None),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": "api.runpod.io:443"}, None),
        ({"HTTPS_PROXY": "socks5://s", "NO_PROXY": "*.runpod.io"}, None),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": "pod.io,:::,[,"}, "http://p:1"),
    ],
)
def test_the_proxy_that_the_variables_name(environ: Mapping[str, str], shown: str | None) -> None:
    """As curl reads them: small letters first, without a scheme HTTP, and none where not needed."""
    proxy = proxy_for(API, environ)
    assert (proxy.shown if proxy else None) == shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("http://p:99999", "its port is invalid"),
        ("http://p:abc", "its port is invalid"),
        ("p:-1", "its port is invalid"),
        ("http://p:0", "no host and port"),
        ("http://", "no host and port"),
        (":", "no host and port"),
        ("http://:8080", "no host and port"),
        ("http://a b:80", "no host and port"),
        ("http://[::1", "cannot be read"),
        ("socks5://s:1080", "SOCKS"),
        ("socks5h://s:1080", "SOCKS"),
        ("socks://s", "SOCKS"),
        ("ftp://p:21", "scheme"),
        ("pac+http://p/proxy.pac", "scheme"),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_that_cannot_be_used_is_said(name: str, value: str, text: str) -> None:
    """With its variable, and what to set instead; never a traceback in the middle of a request."""
    environ = {name: value, "RUNPOD_API_KEY": "rpa_abcdefghijklmnop"}
    with pytest.raises(UsageError, match=text) as caught:
        access("runpod", Settings(environ=environ))

    assert caught.value.where == f"the variable {name}"
    assert "NO_PROXY=api.runpod.io" in caught.value.hint


def test_a_proxys_password_is_never_shown() -> None:
    """Neither by podctl itself nor by what a library says of the address."""
    from state.redaction import PROCESS_REDACTOR

    environ = {"HTTPS_PROXY": "http://me:gerstensaft@p:1", "RUNPOD_API_KEY": "rpa_abcdefghijklmn"}
    assert access("runpod", Settings(environ=environ)).api_key == Secret("rpa_abcdefghijklmn")
    assert "gerstensaft" not in PROCESS_REDACTOR("cannot connect to http://me:gerstensaft@p:1")


@pytest.mark.parametrize("url", ["http://[", "https://h:abc", "https://h:0", "https://:1", "h", ""])
def test_a_crooked_base_url_is_said(url: str) -> None:
    """Half an IPv6 address and a port that is none are no traceback."""
    environ = {"RUNPOD_API_KEY": "rpa_abcdefghijklmnop", "RUNPOD_API_BASE_URL": url}
    if not url:  # as if it were not set
        assert access("runpod", Settings(environ=environ)).base_url == API
        return
    with pytest.raises(UsageError, match="is not a base URL"):
        access("runpod", Settings(environ=environ))


def test_a_key_file_of_nobodys_home_is_said() -> None:
    """A home that is not known is a path like any other that is not there."""
    environ = {"RUNPOD_API_KEY_FILE": "~nosuchuser/key"}
    with pytest.raises(PodctlError, match="cannot be read"):
        access("runpod", Settings(environ=environ))


def test_tls_keys_are_written_nowhere(tmp_path: Path) -> None:
    """With SSLKEYLOGFILE the account's key could be read from the traffic; one that cannot be
    written would end the import of every HTTP library."""
    environ = {"SSLKEYLOGFILE": str(tmp_path / "none" / "keys"), "PATH": "x"}
    certificates.forget_key_log(environ)
    assert environ == {"PATH": "x"}


def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    """Somebody's authorities still stand; doctor says which variable names nothing."""
    here = tmp_path / "here.pem"
    here.write_text("no certificate")
    environ = {"SSL_CERT_FILE": "/none", "REQUESTS_CA_BUNDLE": str(here), "CURL_CA_BUNDLE": "/no"}

    assert certificates.unreadable(environ) == ("SSL_CERT_FILE", "CURL_CA_BUNDLE")
    assert certificates.context(environ).cert_store_stats()["x509_ca"]


def test_doctor_names_the_proxy(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What every request goes through is said, without its password; for loopback there is none."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://me:gerstensaft@127.0.0.1:9")
    assert "proxy:" not in shell("doctor", expect=1)
    config = shell.project.file
    config.write_text(config.read_text().replace('provider = "emulator"', 'provider = "runpod"'))
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_abcdefghijklmnop")
    monkeypatch.setenv("RUNPOD_API_BASE_URL", "https://podctl.invalid")
    monkeypatch.setattr("controller.cli.options.PATIENCE_SECONDS", 0.5)
    shown = shell("doctor", expect=8)
    assert "proxy: http://127.0.0.1:9, by HTTPS_PROXY" in shown
    assert "gerstensaft" not in shown + shell.err
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    assert "SOCKS" in shell("doctor", expect=2)


@pytest.mark.parametrize(
    "environ",
    [
        {"LANG": "xx_YY.foo", "LC_ALL": "zz", "TERM": "weird", "COLUMNS": "abc", "LINES": "-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
        {"HOME": "", "TMPDIR": "/nonexistent", "TZ": "Mars/Phobos", "TERM": ""},
        {"SSLKEYLOGFILE": "/nonexistent/keys", "SSL_CERT_FILE": "/nonexistent", "PATH": "/none"},
        {"HTTP_PROXY": "http://x:abc", "http_proxy": "socks5://y", "ALL_PROXY": ":"},
        {"OPENSSL_CONF": "/nonexistent", "PYTHONWARNINGS": "error", "GIT_DIR": "/nonexistent"},
    ],
)
def test_no_environment_is_a_traceback(shell: Shell, environ: dict[str, str]) -> None:
    """A whole process, as its imports meet the variables too; without HOME where none is given."""
    import subprocess

    about = {"PODCTL_EMULATOR_URL": os.environ["PODCTL_EMULATOR_URL"], "PYTHONPATH": os.getcwd()}
    root = str(Path(certificates.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-m", "controller", "plan", "hello"],
        cwd=shell.project.root,
        env=about | environ | {"PYTHONPATH": root},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert b"RTX 4090" in done.stdout
