"""The `podctl` group: help from a light table, commands imported on demand."""

from __future__ import annotations

import difflib
import importlib
import keyword
from collections.abc import Sequence

import click

from controller.cli.verbose import verbose_option, with_verbose

# name → one line of help; the command is `command` in controller/cli/<name>.py, with a `_` after
# what is a word of Python, and for a `-`.
COMMANDS = {
    "init": "Write a commented podctl.toml here.",
    "doctor": "Check key, balance, ssh key, clock, disk: PASS or FAIL; --drill proves self-stop.",
    "plan": "Show what a run would do and cost, without doing it.",
    "rehearse": "Run a stage small on the embedded cloud: what would fail on the paid GPU.",
    "run": "Rent a pod, run stages on it, pull, verify, lock, shut down.",
    "judge": "Judge a finished run's files by the criteria as they are now, for $0, and lock.",
    "take": "Copy the files of a run that did not pass into the project.",
    "status": "Show runs, pods and stages, each with its source and age.",
    "logs": "Show a job's log; -f follows it.",
    "cost": "Show what was spent, by stage and pod, and what is left.",
    "sync": "Carry every unfinished run on: pull, verify, lock, shut down.",
    "stop": "End a run early, pulling first; also one that another terminal drives.",
    "ssh": "Open a shell on the pod of a run.",
    "exec": "Run one command on the pod of a run; -t with this terminal.",
    "forward": "Forward local ports to the pod of a run: TensorBoard, notebooks.",
    "gc": "List pods that no run owns; adopt or terminate them.",
    "import": "Rebuild a lost or damaged state.db from pods, bill, run folders and locks.",
    "gpus": "List GPU types: memory, price, availability.",
    "locks": "List the certificates of passed stages.",
    "verify": "Re-hash local artifacts against their certificates.",
    "why": "Say what differs from a stage's lock, and what a re-run would cost.",
    "unlock": "Archive a stage's lock so that it may run again.",
    "allow-link": "Let outputs be written through a link out of the project.",
    "emulator": "Serve the embedded cloud in the foreground; emulator env prints its key.",
}

EXIT_CODES = (
    ("0", "ok"),
    ("1", "failed"),
    ("2", "usage: the command line or podctl.toml is wrong"),
    ("3", "not found: no such project, stage, run, pod or input"),
    ("4", "locked: the stage passed and is not run again by accident"),
    ("5", "verification failed: artifacts or criteria are not as they must be"),
    ("6", "budget refused: the worst case does not fit; nothing was rented"),
    ("7", "artifacts not safe: something is only on the pod, which is kept"),
    ("8", "unknown: who could tell the state of a job or a pod does not answer"),
    ("9", "no capacity: no accepted type could be rented"),
    ("10", "refused: the provider, or the model hub, says no for good (key, balance, request)"),
    ("11", "time is up: max_hours or the budget is used up; what was saved is here"),
    ("75", "busy: another podctl drives this project"),
    ("129", "the terminal was closed: what runs goes on running"),
    ("130", "detached or interrupted: what runs goes on running"),
    ("141", "the reader of standard output went away"),
    ("143", "terminated"),
)


class Podctl(click.Group):
    """A group that knows its commands' names without importing them."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name.replace("-", "_")
        command = importlib.import_module(f"controller.cli.{module}").command
        assert isinstance(command, click.Command)
        return with_verbose(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"no command {name!r}{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _definitions(formatter, "Exit codes", EXIT_CODES)
        with formatter.section("Environment"):
            formatter.write_dl(
                [
                    ("RUNPOD_API_KEY", "the account key"),
                    (
                        "RUNPOD_API_KEY_FILE",
                        "else a private file with it (else ~/.runpod/config.toml)",
                    ),
                    ("RUNPOD_API_BASE_URL", "another API, such as `podctl emulator`"),
                    ("NO_COLOR", "no colour"),
                    ("PODCTL_DEBUG", "1: show the traceback of an error"),
                ]
            )


def _definitions(
    formatter: click.HelpFormatter, title: str, rows: Sequence[tuple[str, str]]
) -> None:
    with formatter.section(title):
        formatter.write_dl(list(rows))


@click.group(
    cls=Podctl,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="podctl", prog_name="podctl")
@verbose_option
def podctl() -> None:
    """Rent a GPU pod, run a training stage on it, bring the artifacts home verified, and never
    pay for an idle one.

    Results go to stdout, talk to stderr; commands that read take --json. A question is never
    asked when stdin is no terminal: the error names the flag that answers it.
    """
