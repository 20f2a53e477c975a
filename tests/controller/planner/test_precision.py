"""One precision for the plan, by what the smallest accepted GPU of any stage holds."""

from __future__ import annotations

from typing import Any

import pytest

from controller.errors import UsageError
from controller.locks.certificate import Certificate, Price
from controller.locks.precision import derived, same_precision
from controller.locks.staleness import differences
from controller.planner.gpu_types import memory_gb
from controller.planner.precision import with_one_precision
from controller.preflight.precision import check_precision
from jobs.catalog import load_stages
from jobs.stage import Stage

NAMES = ("stage1a", "stage1b", "stage1c", "stage1d", "stage1e")


def stages(model: str | None = None, **changes: dict[str, Any]) -> dict[str, Stage]:
    return with_one_precision(load_stages(changes, model))


def chosen(model: str | None = None, **changes: dict[str, Any]) -> list[object]:
    return [stages(model, **changes)[name].parameters.get("quantize") for name in NAMES]


def gpus(*names: str) -> dict[str, dict[str, Any]]:
    return {name: {"hardware": {"gpus": list(names)}} for name in NAMES}


def test_the_smallest_accepted_gpu_of_any_stage_decides() -> None:
    """An L40S holds 32B in 4 bits only; an H200 in 16, if no stage accepts less."""
    assert chosen() == ["nf4"] * 5
    assert chosen(**gpus("H200", "B200")) == ["none"] * 5
    assert chosen(**gpus("H200") | {"stage1d": {"hardware": {"gpus": ["L40S"]}}}) == ["nf4"] * 5
    assert chosen(**gpus("A new card")) == ["nf4"] * 5
    assert chosen("small") == ["none"] * 5


def test_a_parameter_overrides_it_for_all() -> None:
    """Given once, a value counts for every stage that is given none; nothing is known of a model
    of one's own, and nothing is chosen."""
    none = {"parameters": {"quantize": "none"}}

    assert chosen(stage1c=none) == ["none"] * 5
    two = {"stage1a": {"parameters": {"quantize": "nf4"}}, "stage1e": none}
    assert chosen(**two) == ["nf4", "auto", "auto", "auto", "none"]
    assert chosen("models/mine") == ["auto"] * 5


@pytest.mark.parametrize(
    ("name", "memory"),
    [("NVIDIA L40S", 48), ("L4", 24), ("NVIDIA A40", 48), ("RTX A4000", 16), ("H100 NVL", 94),
     ("NVIDIA A100-SXM4-80GB", 80), ("RTX 6000 Ada", 48), ("NVIDIA H200", 141), ("TPU", None)],
)  # fmt: skip
def test_memory_is_that_of_the_named_type(name: str, memory: int | None) -> None:
    """By id or short name; a longer name is not taken for a shorter one."""
    assert memory_gb(name) == memory


def lock(name: str, **changes: Any) -> Certificate:
    stage = load_stages({})[name]
    values: dict[str, Any] = {
        "stage": name, "title": stage.title, "run": f"{name}-0001", "criteria": (),
        "artifacts": (), "outputs": stage.outputs, "command": stage.command,
        "parameters": stage.parameters, "cost": Price(usd=1, hours=1, hardware="NVIDIA L40S"),
        "started_at": 1.0, "ended_at": 2.0, "locked_at": 3.0,
    }  # fmt: skip
    return Certificate(**values | changes)


def with_precision(name: str, precision: str) -> Certificate:
    return lock(name, environment={"precision": precision})


def test_two_precisions_are_refused_before_anything_is_rented() -> None:
    """Each lock is named with its own, and the command that mends it."""
    mixed = {
        "stage1a": with_precision("stage1a", "bf16"),
        "stage1c": with_precision("stage1c", "nf4"),
    }
    with pytest.raises(UsageError) as caught:
        check_precision(stages()["stage1e"], mixed)
    assert caught.value.cause == (
        "the lock of stage1a has bf16, the lock of stage1c has nf4, and stage1e would have nf4"
    )
    assert "podctl unlock stage1a --reason precision" in caught.value.hint

    both = {name: with_precision(name, "bf16") for name in ("stage1a", "stage1c", "stage1d")}
    with pytest.raises(UsageError) as caught:
        check_precision(stages()["stage1e"], both)
    assert caught.value.hint == ("podctl run stage1e --set parameters.quantize=none")
    wide = stages(**gpus("H200"))
    assert check_precision(wide["stage1e"], both) == []
    assert check_precision(stages()["stage1c"], mixed) == []  # compares nothing


def test_a_lock_of_before_is_told_of_and_not_refused() -> None:
    """It says quantize = auto, or nothing, and where it ran: that was 4 bits on a GPU."""
    (remark,) = check_precision(stages()["stage1d"], {"stage1c": lock("stage1c")})

    assert "the lock of stage1c does not record the precision of its base" in remark
    assert "by quantize = 'auto' on NVIDIA L40S it was nf4" in remark
    on_cpu = lock("stage1c", environment={"device": {"kind": "cpu"}})
    assert (derived(lock("stage1c")), derived(on_cpu)) == ("nf4", "fp32")


def test_a_lock_of_before_is_not_stale_for_its_precision() -> None:
    """What was auto is chosen now: a difference only where it would be another one."""
    for name in ("stage1a", "stage1c"):
        old = lock(name, parameters={**load_stages({})[name].parameters, "quantize": "auto"})
        kinds = {
            place: [
                one.text
                for one in differences(of[name], old, {}, {}, "")
                if one.kind == "parameter"
            ]
            for place, of in (("same", stages()), ("other", stages(**gpus("H200"))))
        }
        assert kinds == {"same": [], "other": ["parameter quantize was 'auto', is 'none'"]}
    assert same_precision(with_precision("stage1a", "bf16"), "none")
