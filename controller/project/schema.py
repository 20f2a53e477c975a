"""podctl.toml as a JSON schema, for editors: made of the models that check it."""

from __future__ import annotations

import json
from typing import Any

from controller.project.config import Config
from controller.project.project import SCHEMA_FILE, Project
from controller.project.schema_descriptions import DESCRIPTIONS
from jobs.shorthand import KEYS
from jobs.stage import Stage
from state.atomic_files import write_atomically

DIALECT = "http://json-schema.org/draft-07/schema#"  # what editors of TOML read
SECTIONS = {  # of the definitions: which names their keys have in DESCRIPTIONS
    "HardwareNeed": "hardware",
    "EnvironmentNeed": "environment",
    "Criterion": "criterion",
    "Stage": "stage",
}


def schema() -> dict[str, Any]:
    """The schema, with a description for every key."""
    document = Config.model_json_schema()
    stage = Stage.model_json_schema()
    definitions = {**document.pop("$defs", {}), **stage.pop("$defs", {}), "Stage": _table(stage)}
    for name, definition in definitions.items():
        _describe(definition, SECTIONS.get(name, name.removesuffix("Section").lower()))
    properties = document["properties"]
    properties["stages"] = {
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/Stage"},
    }
    _describe(document, "")
    return {
        "$schema": DIALECT,
        "title": "podctl.toml",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": dict(sorted(definitions.items())),
    }


def _table(stage: dict[str, Any]) -> dict[str, Any]:
    """A [stages.NAME] table: its name is in its head, and an override need not be whole."""
    properties = stage["properties"]
    del properties["name"]
    stage.pop("required", None)
    words = properties["command"]
    properties["command"] = {"anyOf": [{"type": "string", "minLength": 1}, words]}
    for key in KEYS:
        kind = {"type": "integer", "minimum": 1, "maximum": 8} if key == "gpu_count" else None
        properties[key] = kind or {"type": "string", "minLength": 1}
    return stage


def _describe(definition: dict[str, Any], prefix: str) -> None:
    """Give every key its description; one that the model has stays."""
    definition.pop("title", None)
    for key, found in definition.get("properties", {}).items():
        found.pop("title", None)
        text = DESCRIPTIONS.get(f"{prefix}.{key}" if prefix else key)
        if text and "description" not in found:
            found["description"] = text


def text() -> str:
    """The schema as a file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def write_schema(project: Project) -> None:
    """Write the schema to which the first line of podctl.toml leads editors."""
    path = project.state_dir / SCHEMA_FILE
    content = text().encode()
    if not path.is_file() or path.read_bytes() != content:
        write_atomically(path, content, 0o644)
