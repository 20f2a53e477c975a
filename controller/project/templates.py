"""The projects that `podctl init --template` writes: those of docs/how-to, with data and a model.

A template is a folder of docs/how-to, or some of its stages. The model is the small one that comes
with podctl, with a chat template; data are rows of a made-up world. With both, a template runs on
the emulator as it is.
"""

from __future__ import annotations

import filecmp
import importlib.util
import json
import re
import shutil
import tempfile
import tomllib
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from controller.errors import UsageError

PAGE = "README.md"
MODEL = "model"  # the folder of a project that has the small model
CHAT_TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content + eos_token }}{% endgeneration %}"
    "{% else %}{{ m.content }}{% endif %}{{ '\\n' }}{% endfor %}"
)
_OUTWARD = re.compile(r"\[([^\]]+)\]\(\.\./[^)]*\)")
_HEAD = re.compile(r"^\[stages\.([^\].]+)", re.MULTILINE)


@dataclass(frozen=True)
class Template:
    """`folder` is that of docs/how-to; `stages`: the others of it are left out; empty: all stay."""

    folder: str
    what: str
    stages: tuple[str, ...] = ()
    without: tuple[str, ...] = ()  # files of the folder that its stages do not need


TEMPLATES = {
    "own-script": Template("own-script", "a plain Python script that saves and resumes"),
    "trl-sft-chat": Template(
        "trl", "TRL: SFT on chat messages", ("sft",), ("dpo.yaml", "grpo.yaml", "rewards.py")
    ),
    "trl-dpo": Template("trl", "TRL: SFT, then DPO", ("sft", "dpo"), ("grpo.yaml", "rewards.py")),
    "trl-grpo": Template(
        "trl", "TRL: GRPO with a reward function", ("grpo",), ("sft.yaml", "dpo.yaml")
    ),
    "transformers": Template("transformers", "a script around transformers' Trainer"),
    "axolotl": Template("axolotl", "Axolotl, in its own image"),
    "llama-factory": Template("llama-factory", "LLaMA-Factory, in an image with it"),
    "lm-eval": Template("lm-eval", "lm-evaluation-harness with your own task"),
}


def template(name: str) -> Template:
    """Raises UsageError for an unknown name."""
    if name in TEMPLATES:
        return TEMPLATES[name]
    every = "\n".join(f"{one:<14} {found.what}" for one, found in TEMPLATES.items())
    raise UsageError(f"there is no template {name!r}", cause=every, hint="podctl init --template …")


def config(chosen: Template, name: str, provider: str) -> str:
    """The template's podctl.toml for a project called `name`."""
    text = (_source() / chosen.folder / "podctl.toml").read_text(encoding="utf-8")
    text = re.sub(r'^name = ".*"$', f"name = {json.dumps(name)}", text, count=1, flags=re.MULTILINE)
    line = f'provider = "{provider}" # "runpod" rents for real'
    text = re.sub(r"^provider = .*$", line, text, count=1, flags=re.MULTILINE)
    for path in chosen.without:
        text = text.replace(f', "{path}"', "")
    return _only(text, chosen.stages) if chosen.stages else text


def _only(text: str, stages: tuple[str, ...]) -> str:
    """The text without the tables of other stages."""
    heads = list(_HEAD.finditer(text))
    kept = [text[: heads[0].start()]]
    for place, head in enumerate(heads):
        end = heads[place + 1].start() if place + 1 < len(heads) else len(text)
        if head[1] in stages:
            kept.append(text[head.start() : end])
    return "".join(kept).rstrip() + "\n"


@dataclass(frozen=True)
class Written:
    """What a template wrote, and its files in whose places others were, which stay."""

    paths: tuple[str, ...]
    kept: tuple[str, ...]


def write(chosen: Template, root: Path, text: str) -> Written:
    """Put the files of the template beside podctl.toml, which has `text`. Raises: UsageError."""
    document = tomllib.loads(text)
    source = _source()
    with tempfile.TemporaryDirectory() as made:
        staged = Path(made)
        shutil.copytree(
            source / chosen.folder,
            staged,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("podctl.toml", "__pycache__", *chosen.without),
        )
        _adapt_page(staged / PAGE, chosen)
        _write_data(source, staged, document)
        if MODEL in document.get("upload", {}).get("include", ()):
            _write_model(staged / MODEL)
        try:
            return _install(staged, root)
        except OSError as error:
            raise UsageError(
                "cannot write the template's files", where=str(root), cause=str(error)
            ) from error


def _adapt_page(page: Path, chosen: Template) -> None:
    """Without links that lead out of the folder; says which stages of the page are here."""
    text = _OUTWARD.sub(r"\1", page.read_text(encoding="utf-8"))
    if chosen.stages:
        names = ", ".join(chosen.stages)
        text = f"This project has of what this page describes: {names}.\n\n{text}"
    page.write_text(text, encoding="utf-8")


def _install(staged: Path, root: Path) -> Written:
    paths, kept = [], []
    for path in sorted(staged.rglob("*")):
        name = path.relative_to(staged)
        target = root / name
        if path.is_dir():
            continue
        if target.exists() or target.is_symlink():
            if not (target.is_file() and filecmp.cmp(path, target, shallow=False)):
                kept.append(str(name))
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        paths.append(str(name))
    return Written(tuple(paths), tuple(kept))


def _write_data(source: Path, root: Path, document: dict[str, Any]) -> None:
    """The rows that the stages name among their inputs."""
    wanted = {path for stage in document["stages"].values() for path in stage.get("inputs", ())}
    with tempfile.TemporaryDirectory() as made:
        _rows(source / "tiny.py", Path(made))
        for path in Path(made).iterdir():
            if f"data/{path.name}" in wanted:
                (root / "data").mkdir(exist_ok=True)
                shutil.copyfile(path, root / "data" / path.name)


def _rows(script: Path, folder: Path) -> None:
    spec = importlib.util.spec_from_file_location("podctl_template_rows", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.make_data(folder)


def _write_model(folder: Path) -> None:
    """The small model that comes with podctl, as one for chats."""
    with as_file(files("remote") / "stages" / "small_model" / "model") as source:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("quality.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")


def _source() -> Path:
    """docs/how-to: inside the wheel's package; in a checkout where it is written."""
    package = Path(str(files("controller")))
    shipped = package / "project" / "how-to"
    return shipped if shipped.is_dir() else package.parent / "docs" / "how-to"
