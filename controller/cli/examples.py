"""Examples at the end of every command's `--help`."""

from __future__ import annotations

import click

# name of the command → what one may type, each with what it does
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "init": (
        ("podctl init --template trl-sft-chat", "a project that runs as it is"),
        ("podctl init --plan none", "only your own stages"),
    ),
    "check": (("podctl check", "every stage"), ("podctl check sft --json", "one, for scripts")),
    "plan": (
        ("podctl plan sft --offers", "every GPU type, with why it is not accepted"),
        ("podctl plan sft --gpu H100", "what it would cost on an H100"),
    ),
    "rehearse": (("podctl rehearse sft", "minutes on this machine, before paying for hours"),),
    "run": (
        ("podctl run sft dpo", "two stages on one pod"),
        ("podctl run sft --set parameters.learning_rate=1e-4", "another value, this once"),
        ("podctl run sft --gpu H100 --max-usd-per-hour 3 -y", "choose the GPU, do not ask"),
        ("podctl run sft --detach", "return once the job runs; podctl sync ends it"),
    ),
    "sync": (("podctl sync", "after a detach, a closed laptop, a crash"),),
    "stop": (
        ("podctl stop sft", "save, download, park the pod"),
        ("podctl stop sft-0002 --terminate", "the same, and end the pod"),
    ),
    "up": (
        ("podctl up --gpu L40S --hours 2", "a pod to work on, without a stage"),
        ("podctl up --cpu cpu5c --pull 'results/**'", "what podctl down downloads"),
    ),
    "down": (("podctl down", "download what podctl up named, and end the pod"),),
    "emulator": (
        ("podctl emulator start --balance 25", "pods on this machine, for nothing"),
        ("podctl emulator env", "the variables that lead podctl there"),
    ),
    "status": (
        ("podctl status", "what runs and bills"),
        ("podctl status sft --json", "for scripts"),
    ),
    "logs": (("podctl logs sft -f", "follow the newest run of sft"),),
    "ssh": (
        ("podctl ssh sft", "a shell on its pod"),
        ("podctl ssh sft -- -L 8888:localhost:8888", "the same, with options of ssh"),
    ),
    "exec": (
        ("podctl exec sft nvidia-smi", "one command"),
        ("podctl exec -t sft htop", "one that draws on the terminal"),
    ),
    "forward": (("podctl forward sft 6006", "TensorBoard at http://localhost:6006"),),
    "ssh-config": (
        ("podctl ssh-config --install", "ssh podctl-sft, and Remote-SSH of VS Code"),
        ("podctl ssh-config", "print the line that would be added"),
    ),
    "locks": (("podctl locks sft", "what passed, with which hashes"),),
    "verify": (("podctl verify --all", "are all files still what was locked?"),),
    "why": (("podctl why sft", "what changed since it was locked"),),
    "cost": (("podctl cost", "by stage and pod"), ("podctl cost --csv", "for a spreadsheet")),
    "gpus": (("podctl gpus", "types with price and availability"),),
    "gc": (
        ("podctl gc", "every pod of the account, by owner"),
        ("podctl gc --terminate", "end those that nobody owns"),
    ),
    "doctor": (
        ("podctl doctor", "is everything ready?"),
        ("podctl doctor --drill", "does a pod stop itself? costs cents"),
    ),
    "judge": (("podctl judge sft", "after correcting a criterion: no new run"),),
    "take": (("podctl take sft-0003", "its files, although it failed"),),
    "unlock": (('podctl unlock sft --reason "new data"', "so that it can run again"),),
    "import": (("podctl import", "after .podctl/state.db was lost"),),
    "allow-link": (("podctl allow-link checkpoints", "a link to a larger disk"),),
    "volume": (
        ("podctl volume create data --size 100 --data-center EUR-IS-1", "bills until deleted"),
        ("podctl volume put data/ inputs", "a folder, before anything is rented"),
        ("podctl volume get podctl/runs/sft-0001/work/out", "a run's files, without a pod"),
    ),
    "schema": (("podctl schema --write", "for an editor, after a git clone"),),
    "completion": (
        ('eval "$(podctl completion bash)"', "in ~/.bashrc"),
        ('eval "$(podctl completion zsh)"', "in ~/.zshrc"),
        ("podctl completion fish > ~/.config/fish/completions/podctl.fish", "once"),
    ),
}


def with_examples(command: click.Command, name: str) -> click.Command:
    """`command` with its examples below its options."""
    rows = EXAMPLES.get(name, ())
    if rows and command.epilog is None:
        command.epilog = "\b\nExamples:\n" + "\n".join(
            f"  {typed}\n      {what}" for typed, what in rows
        )
    return command
