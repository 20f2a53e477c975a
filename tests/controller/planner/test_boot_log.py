"""What the host's log and the container's log say of a pod that does not come up."""

from __future__ import annotations

import pytest

from controller.agent.ssh_failure import no_sshd
from controller.planner.boot_log import MAX_LINE, fault, image_digest
from controller.providers.emulator.container.boot_error import LINES, line

BEGIN = ("create container x/y:1", "start container for x/y:1: begin")
GUARD = "PODCTL-GUARD armed"


@pytest.mark.parametrize("word", LINES)
def test_every_known_trouble_is_found_and_said_to_be_the_images_or_the_hosts(word: str) -> None:
    """Another host is of no use for an image that cannot be pulled by anybody."""
    found = fault([*BEGIN, line(word, "x/y:1")])

    assert found is not None
    assert found.image == (word in ("manifest", "denied", "unauthorized"))


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("error creating container: name in use", False),
        ("no matching manifest for linux/amd64 in the manifest list entries", True),
        ('exec: "bash": executable file not found in $PATH: unknown', True),
        ("failed to register layer: input/output error", False),
        ("docker: invalid reference format: repository name must be lowercase", True),
        ("toomanyrequests: Rate exceeded", False),
        ("Error response from daemon: could not select device driver with capabilities", False),
    ],
)
def test_relatives(text: str, image: bool) -> None:
    """The same kinds in other programs' words."""
    found = fault([text])

    assert found is not None
    assert found.image is image


@pytest.mark.parametrize(
    "text",
    [
        "create container: still fetching image x/y:1",
        "create container me/unauthorized:no-space-left",
        "create container me/toomanyrequests:1",
        "Status: Downloaded newer image for x/y:1",
        "4f4fb700ef54: Pull complete",
        "",
    ],
)
def test_progress_is_no_fault(text: str) -> None:
    """Neither is an image's name."""
    assert fault([text]) is None


def test_what_was_mended_is_no_fault() -> None:
    """A host that tries again and starts the container is a good host."""
    driver, pull = LINES["driver"], LINES["ratelimit"]

    assert fault([driver, *BEGIN, "start container for x/y:1: done"]) is None
    assert fault([pull, "Status: Downloaded newer image for x/y:1"]) is None
    assert fault([driver, "Status: Downloaded newer image for x/y:1"]) is not None
    assert fault(["start container for x/y:1: done", driver]) is not None


def test_the_newest_digest_is_the_images() -> None:
    """A host says it at each pull; a word that only looks like one is none."""
    lines = [f"Digest: sha256:{'a' * 64}", "Status: Image is up to date for x/y:1"]

    assert image_digest([*lines, f"digest: sha256:{'b' * 64} "]) == f"sha256:{'b' * 64}"
    assert image_digest(["Digest: sha256:abc", "x"]) == ""


def test_the_line_is_clean_and_short_and_keeps_what_says_why() -> None:
    """Control sequences of a registry's answer are gone; a long line loses its beginning."""
    found = fault(["\x1b]0;title\x07" + "x" * 2000 + " \x1b[31mmanifest unknown\x1b[0m\u202e end"])

    assert found is not None
    assert found.line.endswith("manifest unknown end")
    assert len(found.line) <= MAX_LINE + 2
    assert found.line.isprintable()


@pytest.mark.parametrize(
    ("symptom", "log", "ever"),
    [
        ("refused", [GUARD, "Pod Started"], False),
        ("no-banner", [GUARD], False),
        ("refused", [GUARD, "podctl: this image has no /start.sh, so nothing starts sshd"], True),
        ("refused", [GUARD, "podctl: /start.sh ended"], True),
        ("refused", [GUARD, "SSH host keys:"], None),  # sshd is up: the way to it is broken
        ("refused", [GUARD, "Server listening on 0.0.0.0 port 22."], None),
        ("refused", [GUARD, " * Starting OpenBSD Secure Shell server sshd"], None),
        ("refused", ["Pod Started"], None),  # nothing of ours: does the container run at all?
        ("refused", [], None),
        ("", [GUARD], None),  # a silent port is the network's
    ],
)
def test_case_26_an_image_without_sshd_and_a_bad_host_are_told_apart(
    symptom: str, log: list[str], ever: bool | None
) -> None:
    """By the port and by what the container, which runs, says of sshd."""
    found = no_sshd(symptom, log)

    assert (found.permanent if found else None) is ever
