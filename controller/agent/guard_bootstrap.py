"""The create call's `args`: the guard, then the image's own start script."""

from __future__ import annotations

import ast
import base64
import shlex
import zlib
from importlib import resources

CAP = 8 * 1024  # characters for the guard; providers do not say how long `args` may be

# Process 1 of the container. It keeps running when the start script ends: an exit would make the
# provider restart the container with a new boot and a new grace period, indefinitely. Bash runs
# only short sleeps in the foreground, so that it handles SIGTERM at once. No signal from inside the
# container stops it. A job may be root and write any file, so the kernel's count of context
# switches shows whether the guard is running. A stopped guard is continued; one without progress
# for a minute, or stopped three times in a row, is replaced. Each guard gets the container's age
# from this script, because a file of an earlier guard may be forged.
_DECODE = (
    "import base64,sys,zlib;"
    "exec(compile(zlib.decompress(base64.b64decode(sys.argv[1])),'guard','exec'))"
)
_SCRIPT = """\
R="${PODCTL_EMULATED_ROOT:-}"
export PODCTL_BOOT="$(cat /proc/sys/kernel/random/uuid)"
G=@guard@
D="@decode@"
guard() { PODCTL_LIVED=$SECONDS python3 -S -c "$D" "$G" & g=$!; last= still=0; }
watch() {
  at= count=
  while read -r key value _; do
    case $key in State:) at=$value ;; voluntary_ctxt_switches:) count=$value ;; esac
  done 2>/dev/null < "/proc/$g/status"
  [ -n "$count" ] || return
  if [ "$count" = "$last" ]; then still=$((still + 1)); else still=0; fi
  last=$count
  case $at in T|t)
    echo "PODCTL-GUARD was halted, and is continued"
    kill -CONT $g; halts=$((halts + 1)) ;;
  *) halts=0 ;; esac
  if [ $still -ge 30 ] || [ $halts -ge 3 ]; then kill -KILL $g; halts=0; fi
}
end() { trap "" TERM; [ -n "$g" ] && kill -TERM $g && wait $g; kill -TERM $s; exit 143; }
g= halts=0
if command -v python3 >/dev/null; then guard
else echo "PODCTL-GUARD not armed: this image has no python3"; fi
if [ -f "$R/start.sh" ]; then bash "$R/start.sh" &
else echo "podctl: this image has no /start.sh, so nothing starts sshd" >&2; sleep infinity & fi
s=$!
trap end TERM INT
told=
while :; do
  sleep 2 & wait $!
  if [ -n "$g" ]; then
    watch
    if ! kill -0 $g 2>/dev/null; then echo "PODCTL-GUARD started again"; guard; fi
  fi
  if [ -z "$told" ] && ! kill -0 $s 2>/dev/null; then told=1; echo "podctl: /start.sh ended"; fi
done
"""


def guard_source() -> bytes:
    """The source of the installed remote/guard.py."""
    return resources.files("remote").joinpath("guard.py").read_bytes()


def bare(source: bytes) -> bytes:
    """Return a program without comments and docstrings, because `args` is limited in size."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree).encode()


def bootstrap(source: bytes | None = None) -> str:
    """One string that a shell splits into `bash -c SCRIPT`; without `source` the guard of podctl.

    The script starts the guard where there is a python3, and the image's /start.sh in any case;
    SIGTERM gives the job its seconds for a checkpoint before the container ends.
    """
    packed = base64.b64encode(zlib.compress(source or bare(guard_source()), 9)).decode()
    if len(packed) > CAP:
        raise ValueError(f"the guard takes {len(packed)} characters, at most {CAP} are sent")
    script = _SCRIPT.replace("@decode@", _DECODE).replace("@guard@", packed)
    return shlex.join(["bash", "-c", script])
