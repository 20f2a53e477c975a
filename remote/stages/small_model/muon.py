"""Muon in full precision: momentum whose matrix updates are made nearly orthogonal.

The optimiser of torch does its iteration in bfloat16, which a CPU without such units computes
more slowly than the whole training step of a small model. Method: K. Jordan, "Muon: an optimizer
for hidden layers in neural networks" (2024), with its quintic Newton-Schulz coefficients.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5
_MOMENTUM = 0.95


class Muon(torch.optim.Optimizer):
    """For the two-dimensional weights of hidden layers; Nesterov momentum, no weight decay."""

    def __init__(self, matrices: Iterable[torch.nn.Parameter], lr: float) -> None:
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closure here
        del closure
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._update(matrix, group["lr"])

    def _update(self, matrix: torch.nn.Parameter, lr: float) -> None:
        state = self.state[matrix]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(matrix)
        momentum = state["momentum"]
        gradient = matrix.grad
        assert gradient is not None
        momentum.lerp_(gradient, 1 - _MOMENTUM)
        update = orthogonal(gradient.lerp(momentum, _MOMENTUM))
        stretch = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        matrix.add_(update, alpha=-lr * stretch)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """The nearest matrix with singular values near 1, by Newton-Schulz iterations."""
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / (wide.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = _A * x + (_B * square + _C * square @ square) @ x
    result: torch.Tensor = x.T if matrix.shape[0] > matrix.shape[1] else x
    return result
