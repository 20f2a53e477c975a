"""The names of environment variables, of files and of folders that both sides use."""

from __future__ import annotations

LOCAL = ("/run/podctl", "/tmp/podctl")  # noqa: S108 - one user per container, folder made 0700

# What a job finds in its environment.
ENV_RUN = "PODCTL_RUN"
ENV_STAGE = "PODCTL_STAGE"
ENV_RUN_DIR = "PODCTL_RUN_DIR"  # <root>/runs/<run>; lines appended to its file `announced` name
# finished outputs (relative to work/), which are then fetched without waiting for them to settle
ENV_METRICS = "PODCTL_METRICS"  # append JSON lines {"step", "max_steps", "loss", …} here
ENV_PARAMETERS = "PODCTL_PARAMETERS"  # path of the stage's parameters, a JSON object
ENV_MARK = "PODCTL_JOB"  # <boot id>/<run>/<attempt>: whose a process is
ENV_TOOL = "PODCTL_TOOL"  # in the supervisor's own environment, and in that of its tools: no job's
MODELS = ".podctl/models.json"  # in the work folder, beside them: {hub id: commit to load}
# What the pod finds in its own.
ENV_NONCE = "PODCTL_NONCE"
ENV_OWNER = "PODCTL_OWNER"
ENV_GUARD = "PODCTL_GUARD"  # JSON: `GuardLimits`
ENV_API_BASE = "PODCTL_API_BASE"  # e.g. https://api.runpod.io
ENV_MOUNT = "PODCTL_MOUNT"  # e.g. /workspace
# Set by the emulator where it cannot give a pod its own file system: a prefix for every path.
ENV_ROOT = "PODCTL_EMULATED_ROOT"
