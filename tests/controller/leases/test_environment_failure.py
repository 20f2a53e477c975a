"""An environment that could not be made: told from the line that says why, with what mends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from controller.leases.environment_failure import MARK, remedy
from remote.supervisor.installer import reason
from tests.remote.test_environment import wheel

UV = [sys.executable, "-m", "uv"]
NOISY = 'for n in range(3000): print("noise", n)\nraise SystemExit("no compiler: nvcc")\n'


def failed(folder: Path, *words: str, **files: str) -> str:
    """What is told of a real uv that is asked to install."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    wheel(folder / "wheels", "podctl_demo_wheel")
    argv = [*UV, "pip", "install", "--no-cache", "--python", sys.executable, "--no-config"]
    done = subprocess.run(
        [*argv, "--target", str(folder / "site"), *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "UV_HTTP_RETRIES": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0, done.stderr
    return reason(done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("words", "told", "mend"),
    [
        (
            ["--default-index", "http://127.0.0.1:9/simple", "humanize"],
            "127.0.0.1:9",
            "does not reach the index",
        ),
        (
            ["--no-index", "--find-links", "wheels", "no-such-package==1"],
            "no-such-package",
            "check name and version",
        ),
        (
            ["--no-index", "--find-links", "wheels", "podctl_demo_wheel==2"],
            "podctl-demo-wheel==2",
            "check name and version",
        ),
        (
            ["--no-index", "--find-links", "wheels", "--require-hashes", "-r", "hash.txt"],
            "Hash mismatch",
            "another file than the lock",
        ),
        (
            ["--no-index", "--find-links", "old", "old==1"],
            "cp27",
            "for the Python of the image",
        ),
        (["--no-build-isolation", "./noisy"], "no compiler: nvcc", "full output"),
    ],
)
def test_what_uv_says_is_told_and_mended(
    tmp_path: Path, words: list[str], told: str, mend: str
) -> None:
    """A broken index, a missing package or version, a wrong hash, no wheel, a build that fails:
    the line that says why is in what is told, however much else is said."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "old-1-cp27-cp27m-win32.whl").write_bytes(b"")
    (tmp_path / "noisy").mkdir()
    (tmp_path / "noisy" / "setup.py").write_text(NOISY)
    wrong = f"podctl_demo_wheel==1.0 --hash=sha256:{'0' * 64}\n"
    said = failed(tmp_path, *words, hash_txt=wrong)

    assert told in said
    assert len(said) < 4000
    assert mend in remedy(f"the job ended with 69 {MARK}{said})")


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        ("cause: invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
        ("HTTP status client error (401 Unauthorized) for url", "requires a login"),
        ("ERROR: No matching distribution found for uv", "check name and version"),
        ("error: No space left on device (os error 28)", "volume_gb"),
        ("something else", "[stages.….environment]"),
    ],
)
def test_every_other_failure_has_its_remedy(said: str, mend: str) -> None:
    """By pip's words and by uv's."""
    assert mend in remedy(f"the job ended with 69 {MARK}{said})")


def test_a_job_that_failed_by_itself_is_no_environments_affair() -> None:
    """Whatever it said."""
    assert remedy("the job ended with 1 (exited: certificate)") == ""
