"""The job's environment: the image's own variables, but no key of the pod, and nothing of podctl's.

What the container was created with passes but for what looks like a secret or is of the pod's own
start. Of the session that started the agent only an allow-list passes: it may be anybody's login.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from ..contract import ENV_METRICS, ENV_PARAMETERS, ENV_RUN, ENV_RUN_DIR, ENV_STAGE, JobSpec
from ..pod.paths import Boot, PodPaths

NAMES = frozenset(
    [
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        *("RUNPOD_POD_ID", "RUNPOD_DC_ID", "RUNPOD_GPU_COUNT", "RUNPOD_CPU_COUNT"),
    ]
)
PREFIXES = (
    "PODCTL_EMULATED_",
    "LC_",
    "CUDA_",
    "CUDNN_",
    "NVIDIA_",
    "NCCL_",
    "HF_",
    "TORCH_",
    "PYTORCH_",
    "OMP_",
    "MKL_",
    "UV_",
    "PIP_",
)
SECRET_NAME = re.compile(
    r"(?:^|_)(?:TOKENS?|SECRETS?|PASS(?:WORD|WD|PHRASE)?|CREDENTIALS?|AUTH)(?:_|$)"
    r"|API_?KEY|(?:TOKEN|SECRET|PASSWORD|KEY|KEY_ID)$",
    re.IGNORECASE,
)
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|API_KEY|CREDENTIAL", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
FORBIDDEN = frozenset({"RUNPOD_API_KEY"})
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


# Of the container's first process: what its start, a login or podctl put there.
NOT_THE_IMAGES = frozenset(
    [
        *("PUBLIC_KEY", "HOSTNAME", "PWD", "OLDPWD", "SHLVL", "_", "TERM", "MAIL", "DISPLAY"),
        *("BASH_ENV", "ENV", "PROMPT_COMMAND", "PS1", "PS2", "PS4", "IFS", "CDPATH"),
        *("DEBIAN_FRONTEND", "INVOCATION_ID", "JOURNAL_STREAM"),
    ]
)
NOT_THE_IMAGES_PREFIXES = ("PODCTL_", "RUNPOD_", "SSH_", "SUDO_", "JUPYTER_", "BASH_FUNC_")
LOGIN_IN_ADDRESS = re.compile(r"://[^/@\s]*:[^/@\s]*@")


def of_image(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of the environment of a container's first process that a job may see."""
    return allowed(environment) | {
        name: value
        for name, value in environment.items()
        if name not in NOT_THE_IMAGES
        and not name.startswith(NOT_THE_IMAGES_PREFIXES)
        and not SECRET_NAME.search(name)
        and not LOGIN_IN_ADDRESS.search(value)
    }


def allowed(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of a container's environment that a job may see."""
    return {
        name: value
        for name, value in environment.items()
        if (name in NAMES or name.startswith(PREFIXES)) and not SECRET.search(name)
    }


def build(spec: JobSpec, paths: PodPaths, boot: Boot) -> dict[str, str]:
    """The job's variables without its interpreter's; the spec's override the container's."""
    run, cache = paths.run(spec.run), paths.root / "cache"
    env = {"PATH": DEFAULT_PATH, "HOME": str(Path.home()), "LANG": "C.UTF-8"}
    env |= allowed(os.environ) | of_image(boot.env)  # the image's own words over the SSH session's
    env |= {
        "HF_HOME": str(cache / "huggingface"),
        "TORCH_HOME": str(cache / "torch"),
        "XDG_CACHE_HOME": str(cache),
        "PYTHONUNBUFFERED": "1",
    }
    env |= spec.env
    env |= {
        ENV_RUN: spec.run,
        ENV_STAGE: spec.stage,
        ENV_RUN_DIR: str(run),
        ENV_METRICS: str(run / "metrics.jsonl"),
        ENV_PARAMETERS: str(paths.work(spec.run) / ".podctl" / "parameters.json"),
    }
    own = [str(site(spec, paths))] if spec.environment.install is not None else []
    search_path = [*own, str(paths.code(spec.code)), env.get("PYTHONPATH", "")]
    if own:
        env["PATH"] = f"{own[0]}/bin{os.pathsep}{env['PATH']}"
    env["PYTHONPATH"] = os.pathsep.join(p for p in search_path if p)
    return {name: value for name, value in env.items() if name not in FORBIDDEN}


def site(spec: JobSpec, paths: PodPaths) -> Path:
    """Where the run's own project is installed."""
    return paths.run(spec.run) / "site"


def with_interpreter(env: Mapping[str, str], python: Path) -> dict[str, str]:
    """`env` in which the programs beside `python` come first, as in an activated environment."""
    made = dict(env)
    folder = str(python.parent)
    if folder not in made["PATH"].split(os.pathsep):
        made["PATH"] = folder + os.pathsep + made["PATH"]
    if (python.parent.parent / "pyvenv.cfg").exists():
        made["PATH"] = folder + os.pathsep + made["PATH"]
        made["VIRTUAL_ENV"] = str(python.parent.parent)
    return made


def script(env: Mapping[str, str]) -> bytes:
    """A shell script that sets the variables; `podctl exec` reads it."""
    named = {name: value for name, value in env.items() if _VARIABLE.match(name)}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(named.items())]
    return "".join(lines).encode(errors="surrogateescape")


def argv(spec: JobSpec, python: Path) -> list[str]:
    """The job's command; "python" means the environment's interpreter."""
    first = str(python) if spec.argv[0] in ("python", "python3") else spec.argv[0]
    return [first, *spec.argv[1:]]
