"""A run whose time was up, or whose job failed, is gone on from by the next `podctl run`."""

from __future__ import annotations

import pytest

from tests.support.laptop import Laptop

TRAINING = """
step=$(ls -d out/checkpoint-* 2>/dev/null | sed 's/.*-//' | sort -n | tail -1)
echo "begins at step ${{step:-0}}"
mkdir -p out/checkpoint-$((${{step:-0}} + 5))
cp in.txt out/checkpoint-$((${{step:-0}} + 5))/weights
[ -n "$step" ] || {end}
echo '{{"ok": true}}' > out/result.json
"""


def training(laptop: Laptop, end: str) -> None:
    """A job that saves step 5, comes to `end`, and completes when it finds a checkpoint."""
    laptop.write()
    (laptop.folder / "job.sh").write_text(TRAINING.format(end=end))


def bound(laptop: Laptop, hours: float) -> None:
    path = laptop.folder / "podctl.toml"
    lines = path.read_text().splitlines()
    put = [f"max_hours = {hours}" if one.startswith("max_hours") else one for one in lines]
    path.write_text("\n".join(f"hours = {hours / 2}" if x.startswith("hours") else x for x in put))


def test_time_that_is_up_is_an_ending_of_its_own_and_is_gone_on_from(laptop: Laptop) -> None:
    """Exit code 11 names the step; the next run, with more hours, begins at it and passes."""
    training(laptop, "sleep 600")
    bound(laptop, 0.001)
    up = laptop.podctl("run", "hello", "-y", expect=11)
    bound(laptop, 0.1)
    on = laptop.podctl("run", "hello", "-y")

    assert "hello-0001: time is up at step 5" in up.err
    assert "next:  podctl run hello resumes it" in up.err
    assert "hello-0002: resumes from step 5 of hello-0001" in on.err
    assert "begins at step 5" in laptop.podctl("logs", "hello-0002").out


@pytest.mark.parametrize(("words", "step"), [((), 5), (("--fresh",), 0)])
def test_a_job_that_failed_is_gone_on_from_unless_it_is_to_begin_anew(
    laptop: Laptop, words: tuple[str, ...], step: int
) -> None:
    """A lost rank or a CUDA error loses no steps that were saved."""
    training(laptop, "exit 1")
    failed = laptop.podctl("run", "hello", "-y", expect=1)
    laptop.podctl("run", "hello", "-y", *words, expect=1 if "--fresh" in words else 0)

    assert "podctl run hello resumes from step 5" in failed.err
    assert f"begins at step {step}" in laptop.podctl("logs", "hello-0002").out
