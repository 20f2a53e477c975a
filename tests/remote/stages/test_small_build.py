"""The small base model is what its script builds: documents, tokenizer, shapes, first losses."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import pytest

from remote.stages.small_model import compare as alike
from tests.support import training_stack

pytestmark = training_stack.ON_ONE_WORKER
STEPS = 8
SHIPPED = json.loads((alike.SHIPPED / "quality.json").read_bytes())


@pytest.fixture(scope="module")
def begun() -> tuple[Any, Any, list[float]]:
    """Tokenizer and model of a rebuilding that has just begun, and its losses."""
    from remote.stages.small_model import build

    tokenizer, model, library = build.untrained(SHIPPED["seed"])
    losses = islice(build.fit(model, tokenizer, library, SHIPPED["steps"]), STEPS)
    return tokenizer, model, list(losses)


def test_documents_are_those_the_shipped_model_read() -> None:
    """The digest stands beside the model; another seed has another."""
    from remote.stages.small_model import build

    assert build.digest(SHIPPED["seed"]) == SHIPPED["documents_sha256"]
    assert build.digest(SHIPPED["seed"] + 1) != SHIPPED["documents_sha256"]


def test_tokenizer_and_shapes_are_those_of_the_shipped_model(
    begun: tuple[Any, Any, list[float]],
) -> None:
    """Every piece of the vocabulary and every merge; every weight by name and shape."""
    tokenizer, model, _ = begun
    inner = json.loads(tokenizer.backend_tokenizer.to_str())
    shipped = json.loads((alike.SHIPPED / "tokenizer.json").read_bytes())

    assert inner["model"] == shipped["model"]
    assert inner["pre_tokenizer"] == shipped["pre_tokenizer"]
    assert {
        name: tuple(one.shape)
        for name, one in model.state_dict().items()
        if name != "lm_head.weight"
    } == alike.shapes(alike.SHIPPED)


def test_the_loss_falls_as_that_of_the_shipped_model_did(
    begun: tuple[Any, Any, list[float]],
) -> None:
    """Step by step within the tolerance; a training that stands still, or another one, is not."""
    losses = begun[2]

    assert losses[-1] < losses[0] - 0.3
    assert [*alike.beginning(losses, SHIPPED)] == []
    assert [*alike.beginning([losses[0]] * STEPS, SHIPPED)] != []
    assert [*alike.beginning(losses[1:], SHIPPED)] != []
