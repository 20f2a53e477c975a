"""Secrets stay secret, whatever prints, logs, raises or stores: all goes through one redactor."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shlex
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.agent.client import AgentClient
from controller.agent.job_log import MIN_REWRITTEN, append_log
from controller.agent.log_position import Chunk
from controller.credentials.job_secrets import absent, secrets_of
from controller.credentials.secret import Secret, for_children, hide_environment
from controller.errors import PodctlError
from controller.terminal.sanitize import HOLD, CleanStream
from jobs.stage import Stage
from state.errors import StateError
from state.redaction import PROCESS_REDACTOR, REDACTED, Redactor, encoded
from state.redaction import masked as as_kept
from tests.support.emulated_cloud import EmulatedCloud

ROOT = Path(__file__).resolve().parents[3]
KEY = 'kanarienvogel/Q7+x9_"tweet'  # no known prefix, and characters that every encoding changes


ODD = "it's<a>&\"$x`\\Zwitscher!"
CORES = ("kanarien", "6b616e61", "6B616E61", "6b 61 6e", "6b:61:6e", r"\x6b\x61")
LONG = "S" + "k9Z_" * 750  # 3,001 characters, as a key in a file may have


class Growing(AgentClient):
    """Tells a log that has grown to `size` bytes by now."""

    def __init__(self, log: bytes) -> None:
        self.log_bytes, self.size = log, 0

    def log(self, run: str, offset: int, limit: int = MIN_REWRITTEN**2) -> Chunk:
        return Chunk(offset, self.log_bytes[offset : self.size][:limit], self.size)


def copied(log: bytes, looks: list[int], path: Path, secret: str) -> bytes:
    """The copy of a log that had these sizes at the looks, one after the other."""
    agent = Growing(log)
    for agent.size in looks:
        append_log(agent, "r", path, [Secret(secret)])
    assert not path.with_name("job.log.1").exists()  # asterisks are no sign of another log
    return path.read_bytes()


def said(command: str, value: str) -> str:
    """What bash writes of a value."""
    argv = ["bash", "-c", f'{command} "$1" 2>&1', "bash", value]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def written(value: str) -> dict[str, str]:
    """How ordinary programs write a value into their output."""
    raw = value.encode()
    return {
        "plain": f"token={value}",
        "json": json.dumps({"token": value}),
        "repr": repr({"headers": [value]}),
        "traceback": f"requests.HTTPError: ('refused', {value!r})",
        "url": "https://x/?token=" + urllib.parse.quote(value, safe=""),
        "base64": base64.b64encode(raw).decode(),
        "basic": "Authorization: Basic " + base64.b64encode(b"__token__:" + raw).decode(),
        "urlsafe base64": base64.urlsafe_b64encode(raw).decode(),
        "form": urllib.parse.urlencode({"token": value}),
        "lower URL": re.sub(
            "%..", lambda match: match[0].lower(), urllib.parse.quote(value, safe="")
        ),
        "shell": f"login --token {shlex.quote(value)}",
        "bash -x": said("set -x; true", value),
        "printf %q": said("printf %q", value),
        "in double quotes": '--token "' + re.sub(r'(["\\$`])', r"\\\1", value) + '"',
        "double quotes": '--token "' + value.replace('"', r"\"") + '"',
        "HTML": f"<td>{html.escape(value)}</td>",
        "HTML text": f"<td>{html.escape(value, quote=False)}</td>",
        "HTML, named": f"<td>{html.escape(value).replace('&#x27;', '&apos;')}</td>",
        "HTML, numbers": f"<td>{html.escape(value).replace('&quot;', '&#34;')}</td>",
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
        "hex dump": raw.hex(" "),
        "hex with colons": raw.hex(":"),
        "escaped bytes": "".join(f"\\x{byte:02x}" for byte in raw),
        "PHP": json.dumps(value).replace("/", r"\/"),
        "Go": json.dumps(value)
        .replace("&", r"\u0026")
        .replace("<", r"\u003c")
        .replace(">", r"\u003e"),
    }


@pytest.mark.parametrize("form", list(written(KEY)))
def test_row_79_a_secret_is_hidden_in_every_usual_form(form: str) -> None:
    """Plain, in JSON, in a repr or traceback, in a URL, in base64 after a user's name, as shells
    and HTML quote it, and in hexadecimal."""
    redact = Redactor(KEY)
    text = written(KEY)[form]
    core = next((core for core in CORES if core in text), text[-24:-8])

    assert core in text
    assert core not in redact(text)
    assert core.encode() not in redact.redact(text.encode())
    assert len(redact.redact(text.encode())) == len(text.encode())
    assert core in Redactor()(text)  # it is the registration that hides it


@pytest.mark.parametrize("form", list(written(ODD)))
def test_row_79_a_secret_of_odd_characters_is_hidden_too(form: str) -> None:
    """Quotes of both kinds, a dollar, markup and a backslash: no piece of it is left."""
    text = written(ODD)[form]
    shown = Redactor(ODD)(text)

    assert REDACTED in shown, text
    assert "Zwitscher" not in shown


@pytest.mark.parametrize("word", ["hf_hub_download", "sk-learn", "bearer of", "rpa_", "a hf_ b"])
def test_ordinary_words_are_shown(word: str) -> None:
    """What only begins like a key is none."""
    assert Redactor()(word) == word


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=8), st.integers(0, 9000))
@example([200, 100 + 2 * MIN_REWRITTEN + 5], 100)  # the third look begins within the secret
@example([110], 100)  # the first one ends there
def test_row_79_a_copied_log_never_holds_a_part_of_a_secret(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], at: int
) -> None:
    """However the log grew between two looks, the copy has asterisks, and bytes where they were."""
    log = b"x" * at + KEY.encode() + b"y" * 9000
    path = tmp_path_factory.getbasetemp() / "job.log"
    path.unlink(missing_ok=True)

    copy = copied(log, sorted({*cuts, len(log)}), path, KEY)

    assert copy == log.replace(KEY.encode(), b"*" * len(KEY.encode()))


@pytest.mark.parametrize("form", ["plain", "base64"])
@pytest.mark.parametrize("shown", [1, 849, 2048, 2999, 3000])
def test_row_79_a_long_secret_is_hidden_in_a_copied_log_wherever_it_was_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: int, form: str
) -> None:
    """3,001 characters, of which a look saw the first, some or all but one: none of them stays."""
    monkeypatch.setattr(PROCESS_REDACTOR, "_forms", list(PROCESS_REDACTOR._forms))
    text = {"plain": LONG, "base64": base64.b64encode(LONG.encode()).decode()}[form].encode()
    log = b"-" * 100 + text + b"\n" + b"-" * 30_000
    looks = [100 + shown, 100 + len(text) + 1, 100 + len(text) + 5000, len(log)]

    copy = copied(log, looks, tmp_path / "job.log", LONG)

    assert copy == PROCESS_REDACTOR.redact(log)
    assert copy.count(b"*") >= len(text) - 4


@pytest.mark.parametrize("before", [HOLD - 10, HOLD - 4097, HOLD + 1, 3 * HOLD - 5])
def test_row_79_an_endless_line_does_not_cut_a_secret_in_two(before: int) -> None:
    """A line that is shown in parts shows no part of a secret."""
    stream, line = CleanStream(Redactor(KEY)), b"x" * before + KEY.encode() + b"x" * HOLD
    parts = [stream.feed(line[i : i + 1000]) for i in range(0, len(line), 1000)]

    shown = "".join(parts) + stream.finish()

    assert shown.replace("x", "") == REDACTED


def test_nothing_known_is_kept_in_the_state() -> None:
    """What others said is masked in its texts, numbers stay; what we plan with a secret fails."""
    Secret(KEY)
    Secret("1234567890123")
    document = {"why": f"no {KEY}", KEY: ["1234567890123", 1234567890123, {"a": KEY}]}

    assert json.loads(as_kept(document)) == {
        "why": f"no {REDACTED}",
        REDACTED: [REDACTED, 1234567890123, {"a": REDACTED}],
    }
    with pytest.raises(StateError, match="secret"):
        encoded({"argv": [KEY]})


def test_children_get_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that we start see the environment without what sounds like a key."""
    given = {
        **{
            "RUNPOD_API_KEY": KEY,
            "HF_TOKEN": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "DB_PASSWORD": KEY,
        },
        **{"PATH": "/bin", "HF_TOKEN_PATH": "/h", "RUNPOD_API_KEY_FILE": "/r", "PUBLIC_KEY": "p"},
    }

    assert sorted(for_children(given)) == [
        "HF_TOKEN_PATH",
        "PATH",
        "PUBLIC_KEY",
        "RUNPOD_API_KEY_FILE",
    ]
    hide_environment({"MY_TOKEN": "a-value-of-some-length", "SHORT_TOKEN": "development"})
    assert as_kept({"a": "a-value-of-some-length"}) == f'{{"a":"{REDACTED}"}}'
    assert as_kept({"a": "development"}) == '{"a":"development"}'


def test_a_jobs_secret_comes_from_a_variable_or_a_private_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NAME, else the file that NAME_FILE or NAME_PATH names, which nobody else may read."""
    for name in ("HF_TOKEN", "HF_TOKEN_FILE", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    document = {"name": "s", "title": "s", "command": ["true"], "outputs": ["o"], "hours": 1}
    judged = {"max_hours": 1, "criteria": [{"kind": "exists", "path": "o"}]}
    stage = Stage.model_validate(document | judged | {"secrets": ["HF_TOKEN"]})
    file = tmp_path / "token"
    file.write_text("of-the-file-1234\n")
    file.chmod(0o644)

    assert absent(stage) == ("HF_TOKEN",)
    monkeypatch.setenv("HF_TOKEN_PATH", str(file))
    with pytest.raises(PodctlError, match="not private"):
        secrets_of(stage)
    file.chmod(0o600)
    assert secrets_of(stage)["HF_TOKEN"].reveal() == "of-the-file-1234"
    monkeypatch.setenv("HF_TOKEN", "of-the-variable")
    assert secrets_of(stage)["HF_TOKEN"].reveal() == "of-the-variable"


# What a person who looks for a fault switches on, without a word of ours: every library's debug
# level, and a client of `http.client` beside our own.
DEBUG = """
import http.client, logging, sys, threading
http.client.HTTPConnection.debuglevel = 1
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
import controller.cli.options as options
KEY, BASE, FAULT = {key!r}, {base!r}, {fault!r}

def provider_of(project, terminal, patience=None):
    found = ours(project, terminal, patience)
    client = http.client.HTTPConnection(BASE, timeout=20)
    client.request("GET", "/v2/pods", headers={{"Authorization": "Bearer " + KEY}})
    client.getresponse().read()
    logging.getLogger("aiohttp.client").debug("headers %s", {{"Authorization": KEY}})
    logging.getLogger("runpod").warning("key is " + KEY)
    try:
        raise ValueError("refused", KEY)
    except ValueError:
        logging.exception("caught")
    thread = threading.Thread(target=lambda: int("no number " + KEY))
    thread.start()
    thread.join(20)
    print("printed", KEY)
    if FAULT:
        raise LookupError({{"Authorization": "Bearer " + KEY}}, KEY)
    return found

ours, options.provider_of = options.provider_of, provider_of
"""
RUN = """
import sys
exec(sys.argv.pop(1))
from controller.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize("fault", [False, True])
def test_row_78_debug_output_and_tracebacks_show_no_key(
    tmp_path: Path, cloud: EmulatedCloud, fault: bool
) -> None:
    """HTTP traces, DEBUG logs, prints, exceptions of threads and of podctl's own: redacted."""
    (tmp_path / "podctl.toml").write_text('[project]\nname = "p"\nprovider = "emulator"\n')
    key = "kanarienvogel-0815-4711"  # known by its variable's name alone
    script = DEBUG.format(key=key, base=cloud.base_url.removeprefix("http://"), fault=fault)
    done = subprocess.run(
        [sys.executable, "-c", RUN, script, "gpus"],
        cwd=tmp_path,
        env={
            **os.environ,
            **{"PODCTL_EMULATOR_URL": cloud.base_url, "PYTHONPATH": str(ROOT)},
            "RUNPOD_API_KEY": key,
        },
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    output = done.stdout + done.stderr

    assert done.returncode == (1 if fault else 0), output
    for expected in (
        "Authorization: Bearer",
        "headers",
        "key is",
        "'refused', ",
        "printed",
        "no number",
    ):
        assert expected in output
    assert ("internal error (please report it)" in output) is fault
    assert output.count(REDACTED) >= (8 if fault else 6)
    assert key not in output


NO_CORE = """
import resource, subprocess
asked, real = [], resource.setrlimit
resource.setrlimit = lambda *words: (asked.append(words), real(*words))
from controller.cli.main import run
run(["--help"])
assert asked == [(resource.RLIMIT_CORE, (0, 0))]  # it may have been so before, and stays so
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
child = subprocess.run(["sh", "-c", "ulimit -Sc; ulimit -Hc"], stdout=subprocess.PIPE, check=True)
assert child.stdout.split() == [b"0", b"0"], child.stdout
"""


def test_a_crash_leaves_no_core() -> None:
    """The process and what it starts write no memory to a disk, whatever was allowed before."""
    subprocess.run([sys.executable, "-c", NO_CORE], check=True, timeout=60, cwd=ROOT)
