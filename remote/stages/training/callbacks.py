"""Trainer callbacks: metrics, complete checkpoints, and the end by SIGTERM."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from ..common.failure import StageError
from ..common.metrics import MetricsLog, announce
from ..common.signals import StopRequest
from . import provenance
from .checkpoint import sync_to_disk

_OF_PREFERENCES = ("rewards/", "logps/")  # prefixes of the figures that only DPO logs

# ruff: noqa: ARG002 - the methods of a TrainerCallback have the arguments that the trainer passes


class MetricsCallback(TrainerCallback):
    """Logs the trainer's figures. Raises: StageError at a loss that is not finite."""

    def __init__(self, log: MetricsLog) -> None:
        self._log = log
        self._began, self._seen = time.monotonic(), 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._began, self._seen = time.monotonic(), _tokens(state)

    def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        figures = more.get("logs") or {}
        loss = figures.get("loss", figures.get("eval_loss"))
        if loss is None:
            return
        if not math.isfinite(loss):
            raise StageError(
                f"the loss is {loss} at step {state.global_step}: training has diverged",
                remedy="lower learning_rate, or raise warmup_share; the last checkpoint is kept",
            )
        seconds = max(1e-9, time.monotonic() - self._began)
        record = {
            "step": state.global_step,
            "max_steps": state.max_steps,
            "loss": figures.get("loss"),
            "eval_loss": figures.get("eval_loss"),
            "lr": figures.get("learning_rate"),
            "grad_norm": figures.get("grad_norm"),
            "epoch": state.epoch,
            "tokens": _tokens(state),
            "tokens_per_s": round((_tokens(state) - self._seen) / seconds, 1),
            "time": time.time(),
        }
        more_figures = {key: figures[key] for key in figures if key.startswith(_OF_PREFERENCES)}
        self._log.add({key: _finite(value) for key, value in (record | more_figures).items()})
        kind = "loss" if "loss" in figures else "eval loss"
        print(f"step {state.global_step}/{state.max_steps} {kind} {loss:.4f}", flush=True)


def _tokens(state: Any) -> int:
    return int(state.num_input_tokens_seen or 0)


def _finite(value: Any) -> Any:
    """`value` as JSON; None for a figure that is not finite."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


class CheckpointCallback(TrainerCallback):
    """Announces a checkpoint once its weights are finite and its bytes are on disk."""

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        weights = (weight for weight in more["model"].parameters() if weight.requires_grad)
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if not all(bool(torch.isfinite(weight).all()) for weight in weights):
            raise StageError(
                f"weights that are not finite at step {state.global_step}",
                remedy=f"lower learning_rate; remove {checkpoint} before going on",
            )
        provenance.mark_checkpoint(checkpoint)
        sync_to_disk(checkpoint)
        announce(checkpoint)


class StopCallback(TrainerCallback):
    """On SIGTERM, finishes the step, saves a checkpoint, and ends the training."""

    def __init__(self, stop: StopRequest) -> None:
        self._stop = stop

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if self._stop.asked:
            control.should_save = True
            control.should_training_stop = True
