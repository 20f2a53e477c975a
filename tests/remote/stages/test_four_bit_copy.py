"""The NF4 copy of a base holds what quantizing it gives, and is used only while it does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support import training_stack

pytestmark = training_stack.ON_ONE_WORKER


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with the small model; every model is large enough for a copy."""
    from remote.stages.model import four_bit_copy
    from remote.stages.model.loading import SMALL, resolve

    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(four_bit_copy, "LEAST_BYTES", 1)
    folder = tmp_path / "base"
    shutil.copytree(resolve(SMALL), folder)
    return str(folder)


def loaded(base: str, quantize: str = "nf4", *, copy: bool = True) -> tuple[Any, list[str]]:
    """The model as a stage loads it, and what its log says of the copy."""
    from remote.stages.model.base_weights import begin
    from remote.stages.model.loading import load_model

    said: list[str] = []
    begin(base, quantize, copy, said.append)
    return load_model(base, quantize), said


def logits(model: Any) -> Any:
    import torch

    with torch.inference_mode():
        return model(torch.arange(2, 60)[None]).logits


def test_second_stage_loads_the_copy_of_the_first(base: str) -> None:
    """The first load writes the copy and the second loads it: with the same logits, bit by bit,
    under the base's name. A changed file, another base or a lost one is refused with the reason,
    and made anew; no unquantized load and no parameter that says no leaves a copy."""
    import torch

    from remote.stages.model.base_weights import begun

    _, said = loaded(base, copy=False)
    _, unquantized = loaded(base, "none")
    assert not [*said, *unquantized]

    first, said = loaded(base)
    assert "was written in" in said[0]
    second, said = loaded(base)
    assert said == [f"loaded the NF4 copy in {begun(base).copy}"]  # type: ignore[union-attr]
    assert second.name_or_path == second.config._name_or_path == base
    assert torch.equal(logits(first), logits(second))
    assert begun(base).fault is None  # type: ignore[union-attr]

    weights = next(begun(base).copy.glob("*.safetensors"))  # type: ignore[union-attr]
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    _, said = loaded(base)
    assert "not what was written: model.safetensors" in said[0]
    assert "was written in" in said[1]
    (begun(base).copy / "stray.json").write_text("{}")  # type: ignore[union-attr]
    _, said = loaded(base)
    assert "files differ: stray.json" in said[0]

    config = Path(base, "config.json")
    before = begun(base).copy  # type: ignore[union-attr]
    config.write_text(config.read_text() + "\n")
    _, said = loaded(base)
    assert "was written in" in said[0]
    assert begun(base).copy != before  # type: ignore[union-attr]


def test_full_disk_leaves_no_copy_and_no_error(
    base: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the disk lacks the space, before or while it is written, the log says so, the model is
    there all the same, and nothing is left behind. Half a copy of a day ago is removed."""
    from remote.stages.model import four_bit_copy
    from remote.stages.model.base_weights import begun

    with monkeypatch.context() as less:
        less.setattr(four_bit_copy, "SPARE_BYTES", 2**60)
        model, said = loaded(base)
    assert "are needed" in said[0]
    place = begun(base).copy.parent  # type: ignore[union-attr]
    assert not list(place.iterdir())

    place.rmdir()
    place.write_text("no folder")
    model, said = loaded(base)
    assert said[0].startswith("no NF4 copy of the model is kept: ")
    assert logits(model) is not None
    place.unlink()

    import os

    half = place / ".0123.1.half"
    half.mkdir(parents=True)
    os.utime(half, (0, 0))
    loaded(base)
    assert not half.exists()


def test_identity_names_versions_and_device(base: str) -> None:
    """Another version of what quantizes, or another kind of device, is another copy."""
    from remote.stages.model.four_bit_copy import identity_of, place_of

    identity = identity_of(Path(base), "cpu")
    assert set(identity["versions"]) == {"bitsandbytes", "transformers", "torch"}
    others = [
        identity_of(Path(base), "cuda"),
        identity | {"versions": {**identity["versions"], "bitsandbytes": "0.1"}},
    ]
    places = {place_of(Path("/c"), base, one) for one in (identity, *others)}
    assert len(places) == 3
