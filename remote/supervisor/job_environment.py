"""The job's environment: built from an allow-list, so that no key of the pod reaches a job."""

from __future__ import annotations

import os
import re
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
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|API_KEY|CREDENTIAL", re.IGNORECASE)
FORBIDDEN = frozenset({"RUNPOD_API_KEY"})
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


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
    env |= allowed(os.environ) | allowed(boot.env)  # the image's own words over the SSH session's
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


def argv(spec: JobSpec, python: Path) -> list[str]:
    """The job's command; "python" means the environment's interpreter."""
    first = str(python) if spec.argv[0] in ("python", "python3") else spec.argv[0]
    return [first, *spec.argv[1:]]
