"""Files that the last pull left on the pod. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from controller.errors import ArtifactsNotSafe


@dataclass(frozen=True)
class UnpulledFiles:
    """Outputs that exist only on the pod and that podctl does not pull."""

    what: str
    fetch: str  # the command that downloads them
    by_word: bool = False  # podctl cannot check the download, so the user must confirm it


class LeftOnPod(ArtifactsNotSafe):
    """Everything that can be pulled was; `held` describes the rest."""

    code = "left-on-pod"

    def __init__(self, held: UnpulledFiles) -> None:
        super().__init__(held.what, hint=held.fetch)
        self.held = held
