"""Whether Liger's kernels can be used here: the package is optional, and Triton compiles them."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from subprocess import SubprocessError
from typing import Any

import torch
from torch.nn import functional

_TOLERATED = 3e-2  # of bf16 on values around 1
_FAILURES = (  # of a package, a compiler or a kernel that is missing or too old
    ImportError, OSError, RuntimeError, AttributeError, TypeError, ValueError, LookupError,
    AssertionError, SubprocessError,
)  # fmt: skip


@cache
def why_not() -> str | None:
    """Why they are not used; None where they compute what torch does, which is tried once."""
    if find_spec("liger_kernel") is None:
        return "liger-kernel is not installed"
    if not torch.cuda.is_available():
        return "Liger's kernels need a CUDA device"
    failures: tuple[type[Exception], ...] = (*_FAILURES, *_compiler_errors())
    try:
        differs = _differs()
    except failures as error:
        return f"Liger's kernels do not run here: {type(error).__name__}: {str(error)[:200]}"
    return "Liger's kernels differ from torch here" if differs else None


def _compiler_errors() -> tuple[type[Exception], ...]:
    """What Triton raises where it cannot compile; some versions derive it from `Exception`."""
    try:
        from triton.errors import TritonError  # type: ignore[import-not-found]  # with CUDA only
    except ImportError:
        return ()
    return (TritonError,)


def _differs() -> bool:
    from liger_kernel.ops import swiglu  # type: ignore[import-not-found]  # optional
    from liger_kernel.ops.rms_norm import (  # type: ignore[import-not-found]  # optional
        LigerRMSNormFunction,
    )
    from liger_kernel.transformers.rope import (  # type: ignore[import-not-found]  # optional
        liger_rotary_pos_emb,
    )

    rows, other = torch.randn(2, 4, 64, device="cuda", dtype=torch.bfloat16)
    weight = torch.ones(64, device="cuda", dtype=torch.bfloat16)
    normed = LigerRMSNormFunction.apply(rows, weight, 1e-6, 0.0, "llama", False)
    active = swiglu.swiglu_forward(rows, other)[-1]
    wanted: Any = functional.rms_norm(rows.float(), (64,), eps=1e-6)
    pairs = [(normed, wanted), (active, functional.silu(rows) * other)]
    far = [(a.float() - b.float()).abs().max() > _TOLERATED * b.abs().max() for a, b in pairs]
    return bool(torch.stack(far).any()) or not callable(liger_rotary_pos_emb)
