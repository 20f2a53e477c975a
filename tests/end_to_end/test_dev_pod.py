"""`podctl up` and `podctl down`: a pod without a stage."""

from __future__ import annotations

from tests.support.laptop import Laptop


def test_a_pod_without_a_stage_is_worked_on_and_ended(laptop: Laptop) -> None:
    """`exec` reaches it, a second `up` rents no other, `down` downloads what was asked for and
    terminates it, and the books agree; without one `down` says so."""
    laptop.write()
    words = ("up", "--gpu", "L40S", "--hours", "0.5", "--pull", "notes/*.txt", "-y")
    told = laptop.podctl(*words)
    write = "mkdir notes; echo tried > notes/a.txt; echo not > notes/a.bin"
    laptop.podctl("exec", "devpod", "--", "sh", "-c", write)
    again = laptop.json("up", "-y")
    ended = laptop.json("down")
    files = laptop.folder / ".podctl" / "runs" / "devpod-0001" / "files"
    none = laptop.podctl("down", expect=3)

    assert "devpod-0001 is up on pod" in told.err
    assert "still billing" not in told.err
    assert again["run"] == "devpod-0001"
    assert len(laptop.creates()) == 1
    assert [run["outcome"] for run in ended["leases"][0]["runs"]] == ["stopped"]
    assert (files / "notes" / "a.txt").read_text() == "tried\n"
    assert not (files / "notes" / "a.bin").exists()
    assert laptop.living_pods() == []
    assert "no dev pod is up" in none.err
    laptop.assert_books_agree()
