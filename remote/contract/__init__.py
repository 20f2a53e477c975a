"""The documents that laptop and pod exchange; standard library only.

Everything on the pod lives under one folder of the volume, `<mount>/podctl`:

    code/<sha256>/remote/…     this package, content-addressed; complete or absent
    blobs/<ab>/<sha256>        uploaded bytes, each file once
    guard-<pod>.json           the guard's own: seconds that count on when the container restarts
    runs/<run>/spec.json       what to do (`JobSpec`), written once
              /attempt.json    the attempt in progress (`Attempt`)
              /heartbeat.json  the agent's last sign of life (`Heartbeat`)
              /samples.jsonl   GPU, CPU, memory and disk, one object a line
              /metrics.jsonl   what the job itself reports, one object a line
              /progress.json   what of this, its log and its framework's files is told
              /job.log         the job's output; byte offsets stay valid
              /settings.json   how to install was handed over; in memory, until it is installed
              /environment.json  the job's Python: all that the job needs is installed
              /ready.json      manifest of the outputs finished so far (`final` is false)
              /manifest.json   manifest of every declared output (`final` is true)
              /exit.json       the commit record (`Exit`), always written last
              /work/…          the job's working directory: code, inputs, outputs

What is one pod's alone, in one life of its container, lies in the first of `LOCAL` that can be
written: pods may share a volume.

    beat                       touched by every call of the controller
    guard.json                 what the guard is armed with (`GuardReport`)

Each document is one JSON object with a `schema` field, written beside itself and renamed.
Readers trust nothing: documents over `MAX_DOCUMENT` bytes, of the wrong type or of another schema
raise `ContractError`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # of `typing`, which is not imported: it costs CPU
if TYPE_CHECKING:
    from .codec import MAX_DOCUMENT as MAX_DOCUMENT
    from .codec import MAX_FILES as MAX_FILES
    from .codec import MAX_SMALL as MAX_SMALL
    from .codec import SCHEMA as SCHEMA
    from .codec import ContractError as ContractError
    from .codec import Json as Json
    from .codec import Name as Name
    from .codec import cap as cap
    from .codec import digest as digest
    from .codec import dump as dump
    from .codec import load as load
    from .codec import number as number
    from .guard import GUARD_SILENT_SECONDS as GUARD_SILENT_SECONDS
    from .guard import GuardLimits as GuardLimits
    from .guard import GuardReport as GuardReport
    from .job import Environment as Environment
    from .job import JobSpec as JobSpec
    from .job import Preflight as Preflight
    from .layout import Layout as Layout
    from .manifest import FileEntry as FileEntry
    from .manifest import Left as Left
    from .manifest import Manifest as Manifest
    from .secret_name import SECRET_NAME as SECRET_NAME
    from .status import Attempt as Attempt
    from .status import Exit as Exit
    from .status import Heartbeat as Heartbeat
    from .status import Progress as Progress
    from .status import Status as Status
    from .variables import ENV_API_BASE as ENV_API_BASE
    from .variables import ENV_GUARD as ENV_GUARD
    from .variables import ENV_MARK as ENV_MARK
    from .variables import ENV_METRICS as ENV_METRICS
    from .variables import ENV_MOUNT as ENV_MOUNT
    from .variables import ENV_NONCE as ENV_NONCE
    from .variables import ENV_OWNER as ENV_OWNER
    from .variables import ENV_PARAMETERS as ENV_PARAMETERS
    from .variables import ENV_ROOT as ENV_ROOT
    from .variables import ENV_RUN as ENV_RUN
    from .variables import ENV_RUN_DIR as ENV_RUN_DIR
    from .variables import ENV_STAGE as ENV_STAGE
    from .variables import ENV_TOOL as ENV_TOOL
    from .variables import LOCAL as LOCAL
    from .variables import MODELS as MODELS
else:
    # The agent, started anew for each request, loads only the modules whose documents it uses.
    _NAMES = {
        "codec": (
            "MAX_DOCUMENT MAX_FILES MAX_SMALL SCHEMA ContractError Json Name cap digest "
            "dump load number"
        ),
        "guard": "GUARD_SILENT_SECONDS GuardLimits GuardReport",
        "job": "Environment JobSpec Preflight",
        "layout": "Layout",
        "manifest": "FileEntry Left Manifest",
        "secret_name": "SECRET_NAME",
        "status": "Attempt Exit Heartbeat Progress Status",
        "variables": (
            "ENV_API_BASE ENV_GUARD ENV_MARK ENV_METRICS ENV_MOUNT ENV_NONCE ENV_OWNER "
            "ENV_PARAMETERS ENV_ROOT ENV_RUN ENV_RUN_DIR ENV_STAGE ENV_TOOL LOCAL MODELS"
        ),
    }
    _MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

    def __getattr__(name):
        """Import the module of `name` when it is first used."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
