"""What the last pull had to leave on the pod, as the loop carries it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from controller.errors import ArtifactsNotSafe


@dataclass(frozen=True)
class UnpulledFiles:
    """Outputs that are only on the pod and do not travel by themselves."""

    what: str
    fetch: str  # the command that brings them
    by_word: bool = False  # whether they came cannot be told from here: the user must say so


class LeftOnPod(ArtifactsNotSafe):
    """Everything that can travel is here; `held` says what is not."""

    code = "left-on-pod"

    def __init__(self, held: UnpulledFiles) -> None:
        super().__init__(held.what, hint=held.fetch)
        self.held = held
