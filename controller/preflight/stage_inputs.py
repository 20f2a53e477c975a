"""What podctl's own stages will say of their parameters, data and model, asked of them here.

The same readers run on the pod: what passes here is not refused there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.errors import UsageError
from controller.terminal import formatting
from jobs.builtin_program import program, runs_shipped_program
from jobs.stage import Stage
from remote.stages.common.failure import StageError
from remote.stages.common.layout import TRAINING_DATA

Here = Callable[[str], bool]  # whether a path is here to stay: no earlier stage makes it anew


def check_instructions(stage: Stage, root: Path, here: Here) -> None:
    """A set that comes along, or a folder of this project that can be read. Raises UsageError."""
    name = stage.parameters.get("instructions")
    if program(stage) is None or not isinstance(name, str):
        return
    from remote.stages.instructions.sets import NAMES, load

    if name not in NAMES and here(name):
        with _told(stage, root):
            load(str(root / name))


def training_data(stage: Stage, root: Path, here: Here) -> Iterator[str]:
    """What is converted, in words. Raises: UsageError naming file and line."""
    name = _data_of(stage)
    path = root / name
    if not name or not here(name) or not path.is_file():
        return
    from remote.stages.instructions.pairs import read_pairs
    from remote.stages.instructions.training_records import count_conversions, describe_conversions
    from remote.stages.text.chat_template import template_text

    with _told(stage, root):
        chat = stage.parameters.get("template") == "chat"
        pairs = read_pairs(path, chat=chat)
        for pair in pairs:
            if markup := template_text("\n".join(turn["content"] for turn in pair.turns)):
                raise StageError(
                    f"{pair.where}: the text holds {markup!r} of a chat template",
                    remedy="remove it: a base model has no roles",
                )
        text = describe_conversions(count_conversions(path, "", chat=chat))
    yield f"{name}: {formatting.count(len(pairs), 'pair')}" + (f", {text}" if text else "")


def _data_of(stage: Stage) -> str:
    """Where the stage's program reads training data."""
    match program(stage):
        case "sft" | "dpo":
            return str(stage.parameters.get("data", TRAINING_DATA.as_posix()))
        case "evaluate":
            return TRAINING_DATA.as_posix()
        case _:
            return ""


def hub_model(stage: Stage, root: Path) -> str:
    """The id that the stage's program would fetch from the hub; empty where it fetches none.

    The name is not checked: `check_model` does that.
    """
    from remote.stages.text.model_id import NOT_OF_HUB

    name = stage.parameters.get("model")
    if not runs_shipped_program(stage) or not isinstance(name, str) or name in NOT_OF_HUB:
        return ""
    return "" if _is_project_folder(root, name) else name


def _is_project_folder(root: Path, name: str) -> bool:
    return (root / name).is_dir() and not Path(name).is_absolute()


def check_model(stage: Stage, root: Path, sent: Here) -> None:
    """Raises: UsageError for a model that is neither an id of the hub nor a folder that is sent."""
    from remote.stages.text.model_id import problem_of

    name = stage.parameters.get("model")
    if not runs_shipped_program(stage) or not isinstance(name, str):
        return
    if _is_project_folder(root, name):
        if not sent(f"{name.removeprefix('./').rstrip('/')}/config.json"):
            raise UsageError(
                f"{stage.name}: the model in {name} would not be sent, or has no config.json",
                where="[project] model",
                hint=f'include = ["{name}"] below [upload] in podctl.toml',
            )
    elif problem := problem_of(name):
        raise UsageError(
            f"{stage.name}: the model {name!r} {problem}",
            where="[project] model",
            hint="name a folder of the project, or an id of the hub such as Qwen/Qwen2.5-32B",
        )


@contextmanager
def _told(stage: Stage, root: Path | None = None) -> Iterator[None]:
    """A stage's own complaint as an error of this side; paths are told as the project has them."""
    try:
        yield
    except StageError as error:
        what, hint = error.what, error.remedy.replace("[stages.<stage>.", f"[stages.{stage.name}.")
        if root is not None:
            what, hint = (text.replace(f"{root}/", "") for text in (what, hint))
        raise UsageError(f"{stage.name}: {what}", where=str(root or ""), hint=hint) from error
