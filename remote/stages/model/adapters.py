"""Loads LoRA adapters onto one base model, and checks that they fit it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..common.failure import StageError
from ..common.layout import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from ..common.lora_parameters import differences
from ..instructions.pairs import fingerprint
from .loading import load_model, resolve

_AGAIN = "train it again on this base, or name the base that it was trained on"


def verified_sha256(folder: Path, model: str) -> str:
    """The sha256 of the adapter's weights, after checking that its files open and name `model`.

    Raises: StageError for a missing or broken file, another base, or weights that are not finite.
    """
    try:
        config = json.loads((folder / ADAPTER_CONFIG).read_bytes())
        base = str(config["base_model_name_or_path"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise StageError(
            f"{folder / ADAPTER_CONFIG}: no adapter's configuration: {error}",
            remedy=f"run the stage that trains {folder}",
        ) from error
    if base != model and resolve(base) != resolve(model):
        raise StageError(
            f"{folder} was trained on {base!r}, this stage is given {model!r}", remedy=_AGAIN
        )
    for name, tensor in _tensors(folder).items():
        if not bool(tensor.isfinite().all()):
            raise StageError(
                f"{folder / ADAPTER_WEIGHTS}: {name} holds values that are not finite",
                remedy="the training diverged: lower its learning rate and run it again",
            )
    return fingerprint(folder / ADAPTER_WEIGHTS)


def described_lora(folder: Path, parameters: Any) -> dict[str, Any]:
    """Rank, scale, layers and kind of the adapter in `folder`, for the record of what it becomes.

    Raises: StageError where `parameters` expect another.
    """
    config = json.loads((folder / ADAPTER_CONFIG).read_bytes())
    if found := differences(vars(parameters), config):
        raise StageError(
            f"{folder} is not the adapter that the parameters describe: {'; '.join(found)}",
            remedy="leave these parameters out: training goes on with the adapter as it is; or "
            "train the SFT adapter with them",
        )
    names = ("r", "lora_alpha", "lora_dropout", "target_modules", "use_dora", "use_rslora")
    return {name: config.get(name) for name in names}


@dataclass
class BaseModel:
    """The base model at `source`. Loading it may take minutes, so it is loaded once for all sets
    of adapters."""

    source: str
    quantize: str
    _model: Any = field(default=None, repr=False)

    def with_adapters(self, folders: Mapping[str, Path], *, trainable: bool = False) -> Any:
        """The model with these adapters only, by name; with `trainable` the first can be trained.

        Adapters that it had before are discarded. Raises: StageError.
        """
        model = self._bare()
        for name, folder in folders.items():
            model = self._model = _with_adapter(model, name, folder, trainable)
            trainable = False
        model.eval()
        return model

    def _bare(self) -> Any:
        if self._model is None:
            self._model = load_model(self.source, self.quantize)
        elif hasattr(self._model, "unload"):  # it carries adapters
            self._model = self._model.unload()
            vars(self._model).pop("peft_config", None)  # not every peft takes it off
        return self._model


def load(source: str, quantize: str, folders: Mapping[str, Path]) -> Any:
    """The base model at `source` with the adapters in `folders`, by name. Raises: StageError."""
    return BaseModel(source, quantize).with_adapters(folders)


def _with_adapter(model: Any, name: str, folder: Path, trainable: bool) -> Any:
    from peft import PeftModel

    try:
        if isinstance(model, PeftModel):
            model.load_adapter(str(folder), adapter_name=name, is_trainable=trainable)
        else:
            model = PeftModel.from_pretrained(
                model, str(folder), adapter_name=name, is_trainable=trainable
            )
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise StageError(
            f"{folder} does not fit its base: {str(error)[:300]}", remedy=_AGAIN
        ) from error
    _check_fit(model, name, folder)
    return model


def active_adapter(model: Any, name: str | None) -> AbstractContextManager[Any]:
    """A context in which `model` uses adapter `name`, or no adapter for None."""
    if name is None:
        context: AbstractContextManager[Any] = model.disable_adapter()
        return context
    model.set_adapter(name)
    return nullcontext()


def _check_fit(model: Any, name: str, folder: Path) -> None:
    """Checks that the weights of the file and those of the adapter in the model are the same.

    peft only warns about a mismatch, and leaves missing weights as they were initialised.
    """
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(model, adapter_name=name)
    places = {key: tuple(tensor.shape) for key, tensor in state.items() if "lora_" in key}
    stored = {
        key: tuple(tensor.shape) for key, tensor in _tensors(folder).items() if "lora_" in key
    }
    if stray := sorted(set(places.items()) ^ set(stored.items())):
        raise StageError(
            f"{folder} does not fit its base: {len(stray)} weights have no place, such as "
            f"{stray[0][0]}",
            remedy=_AGAIN,
        )


def _tensors(folder: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(str(folder / ADAPTER_WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise StageError(
            f"{folder / ADAPTER_WEIGHTS}: cannot be opened: {error}",
            remedy=f"run the stage that trains {folder}",
        ) from error
    if not tensors:
        raise StageError(
            f"{folder / ADAPTER_WEIGHTS}: no weight in it",
            remedy=f"run the stage that trains {folder}",
        )
    return tensors
