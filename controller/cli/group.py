"""The `podctl` group: its help comes from a table; a command is imported when it is called."""

from __future__ import annotations

import difflib
import importlib
import keyword
from collections.abc import Sequence

import click

from controller.cli.examples import with_examples
from controller.cli.verbose import verbose_option, with_verbose

# name → one line of help, in the groups that `podctl --help` shows; the command is `command` in
# controller/cli/<name>.py, where a `-` is a `_`, and a Python keyword has a `_` at its end.
GROUPS = {
    "Start": {
        "init": "Write a commented podctl.toml, or a project from a template.",
        "check": "Check podctl.toml and the files that it names, without network.",
        "plan": "Show what a run would do and cost, without doing it.",
        "rehearse": "Run a stage in small on the emulator, to find what would fail on a paid GPU.",
        "run": "Rent a pod, run stages on it, download, verify, lock, shut down.",
        "up": "Rent a pod without a stage, to work on by ssh, exec and forward.",
        "down": "Download the files that podctl up named, and terminate its pod.",
        "sync": "Resume every unfinished run: download, verify, lock, shut down.",
        "stop": "Stop a run early, downloading first; also one driven from another terminal.",
        "emulator": "Serve the emulator; emulator start, stop and status: in the background.",
    },
    "Look": {
        "status": "Show runs, pods and stages, each with its source and age.",
        "logs": "Show a job's log; -f follows it.",
        "ssh": "Open a shell on the pod of a run.",
        "exec": "Run one command on the pod of a run; -t with this terminal.",
        "forward": "Forward local ports to the pod of a run: TensorBoard, notebooks.",
        "ssh-config": "Let ssh, scp and VS Code find the pods of this project by name.",
        "locks": "List the certificates of passed stages.",
        "verify": "Compare the hashes of local artifacts with their certificates.",
        "why": "Explain why a stage's lock is stale, and what a re-run would cost.",
    },
    "Money": {
        "cost": "Show what was spent, by stage and pod, and what is left of the budget.",
        "gpus": "List GPU types: memory, price, availability.",
        "gc": "List the account's pods by owner; terminate or adopt orphaned ones.",
    },
    "Repair": {
        "doctor": "Check key, balance, ssh key, clock, disk; --drill: does a pod stop itself?",
        "judge": "Check a finished run against the current criteria, without a pod, and lock it.",
        "take": "Copy the files of a run that did not pass into the project.",
        "unlock": "Archive a stage's lock so that the stage can run again.",
        "import": "Rebuild a lost or damaged state.db from pods, bill, run folders and locks.",
        "allow-link": "Allow outputs to be written through a link that leaves the project.",
    },
    "Set up": {
        "volume": "List, create and delete network volumes; copy their files without a pod.",
        "schema": "Print the JSON schema of podctl.toml, for editors.",
        "completion": "Print the completion script of bash, zsh or fish.",
    },
}
COMMANDS = {name: text for commands in GROUPS.values() for name, text in commands.items()}

EXIT_CODES = (
    ("0", "ok"),
    ("1", "failed"),
    ("2", "usage: the command line or podctl.toml is wrong"),
    ("3", "not found: no such project, stage, run, pod or input"),
    ("4", "locked: the stage has passed; unlock it to run it again"),
    ("5", "verification failed: an artifact does not match its certificate, or a criterion failed"),
    ("6", "budget refused: the worst case exceeds the budget or balance; nothing was rented"),
    ("7", "artifacts not safe: some files are only on the pod, which is kept"),
    ("8", "unknown: the provider or the pod did not respond"),
    ("9", "no capacity: no accepted GPU type could be rented"),
    ("10", "rejected by the provider or the model hub (key, balance or request)"),
    ("11", "time is up: max_hours or the budget is used up; saved files were downloaded"),
    ("75", "busy: another podctl process controls this project"),
    ("129", "the terminal was closed; jobs and pods keep running"),
    ("130", "detached by Ctrl-C, or interrupted; jobs and pods keep running"),
    ("141", "the reader of standard output closed it"),
    ("143", "terminated by SIGTERM; jobs and pods keep running"),
)


class Podctl(click.Group):
    """A group that knows its commands' names without importing them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without any argument, show the help as an answer and not as an error."""
        if not args:
            ctx.obj.data(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name.replace("-", "_")
        command = importlib.import_module(f"controller.cli.{module}").command
        assert isinstance(command, click.Command)
        return with_examples(with_verbose(command), cmd_name)

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
        widest = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), text) for name, text in commands.items()])

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _definitions(formatter, "Exit codes", EXIT_CODES)
        with formatter.section("Environment"):
            formatter.write_dl(
                [
                    ("RUNPOD_API_KEY", "the account key"),
                    (
                        "RUNPOD_API_KEY_FILE",
                        "a private file with the key (default: ~/.runpod/config.toml)",
                    ),
                    ("RUNPOD_S3_ACCESS_KEY", "for podctl volume, with RUNPOD_S3_SECRET_KEY"),
                    ("RUNPOD_API_BASE_URL", "another API endpoint, such as `podctl emulator`"),
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
    """Rent a GPU pod, run a training stage on it, download verified artifacts, and never pay for
    an idle pod.

    Results go to stdout, messages to stderr; commands that read take --json. podctl never prompts
    when stdin is not a terminal: the error names the flag that answers the question.
    """
