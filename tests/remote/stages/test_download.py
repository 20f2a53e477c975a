"""A model's files come into the cache, whatever the connection does, or the stage says why not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from remote.stages.model import download
from tests.support.hub_server import COMMIT, Hub, serving
from tests.support.training_stack import needed

pytestmark = needed
REPOSITORY = Path(download.__file__).parents[3]
PIECE = 12_000_000  # the hub's client keeps what came in whole pieces of 10 MB
KEPT = 10 * 2**20
FILES = {"config.json": b"{}", "model.safetensors": os.urandom(3 * PIECE), "old.bin": b"pickle"}
FETCHED = {"config.json", "model.safetensors"}
PROGRAM = (
    "import sys\n"
    "from remote.stages.model.download import fetch\n"
    "from remote.stages.common.failure import StageError\n"
    "try:\n"
    "    print(fetch(sys.argv[1], pause=0.01))\n"
    "except StageError as error:\n"
    "    sys.exit(str(error))\n"
)


def fetched(
    hub: Hub, home: Path, model: str = "some/model", **more: str
) -> subprocess.CompletedProcess[str]:
    """In a process of its own: where the hub is and where the cache is are read at import."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, model],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            **more,
        },
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def in_cache(home: Path) -> dict[str, bytes]:
    return {
        one.name: one.read_bytes()
        for one in home.glob("hub/models--some--model/snapshots/*/*")
        if one.is_file()
    }


def test_a_download_that_breaks_goes_on_where_it_broke(tmp_path: Path) -> None:
    """Two breaks cost less than 10 MB each; whole files are not fetched again by the next start;
    pickles never are."""
    with serving(Hub(FILES, piece=PIECE, breaks=2)) as hub:
        done = fetched(hub, tmp_path)
        again = fetched(hub, tmp_path)
        starts = [start for name, start in hub.asked if name == "model.safetensors"]

    assert done.returncode == again.returncode == 0, done.stderr
    assert in_cache(tmp_path) == {name: FILES[name] for name in FETCHED}
    assert starts == [0, KEPT, 2 * KEPT]


def test_a_pinned_model_is_loaded_at_its_commit(tmp_path: Path) -> None:
    """From a folder of the cache, so that nothing asks for `main` again; another commit than the
    hub has is an error, with the hub and without."""
    pins = tmp_path / ".podctl" / "models.json"
    pins.parent.mkdir()
    more = {"PODCTL_PARAMETERS": str(pins.with_name("parameters.json"))}
    with serving(Hub(FILES | {"model.safetensors": b"w"})) as hub:
        free = fetched(hub, tmp_path, **more)
        pins.write_text(json.dumps({"some/model": COMMIT}))
        done = fetched(hub, tmp_path, **more)
        offline = fetched(hub, tmp_path, HF_HUB_OFFLINE="1", **more)
        pins.write_text(json.dumps({"some/model": "d" * 40}))
        gone = fetched(hub, tmp_path, **more)
        lacking = fetched(hub, tmp_path, HF_HUB_OFFLINE="1", **more)

    assert free.stdout.splitlines()[-1] == "some/model"
    for one in (done, offline):
        assert one.returncode == 0, one.stderr
        assert one.stdout.splitlines()[-1].endswith(f"/snapshots/{COMMIT}")
    for one in (gone, lacking):
        assert one.returncode == 1
        assert "cannot be fetched" in one.stderr


def test_a_hub_that_is_down_for_a_while_is_asked_again(tmp_path: Path) -> None:
    """Each try that broke off is said."""
    with serving(Hub(FILES, down=2)) as hub:
        done = fetched(hub, tmp_path)

    assert done.returncode == 0, done.stderr
    assert "broke off, going on" in done.stdout
    assert set(in_cache(tmp_path)) == FETCHED


def test_a_model_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    """A second try would end the same way; the id is named, and what to check."""
    with serving(Hub(FILES)) as hub:
        done = fetched(hub, tmp_path, "some/typo")

    assert done.returncode == 1
    assert "model 'some/typo' cannot be fetched" in done.stderr
    assert "[project] model" in done.stderr
    assert "going on" not in done.stdout


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (401, "GatedRepo", "Access to model is restricted. You must be authenticated"),
        (403, "GatedRepo", "Access is restricted and you are not in the authorized list"),
        (403, "", "please enable access to public gated repositories in your token settings"),
    ],
)
def test_a_refusal_is_final_and_told_whole(
    tmp_path: Path, status: int, code: str, text: str
) -> None:
    """Case 30: one try, the hub's own sentence to its end, and where the token comes from."""
    with serving(Hub(FILES, refusals={"some/model": (status, code, text)})) as hub:
        done = fetched(hub, tmp_path)

    assert done.returncode == 1
    assert text in done.stderr
    assert "HF_TOKEN" in done.stderr
    assert "going on" not in done.stdout


def test_too_many_requests_are_asked_again(tmp_path: Path) -> None:
    """Case 30: a 429 may pass, and is tried to the end."""
    with serving(Hub(FILES, refusals={"some/model": (429, "", "rate limited")})) as hub:
        done = fetched(hub, tmp_path)

    assert done.returncode == 1
    assert done.stdout.count("going on") == 5


def test_a_cache_that_cannot_be_written_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    """A file where the folder belongs, as a volume that is not mounted: nothing is asked for."""
    (tmp_path / "home").write_text("")
    with serving(Hub(FILES)) as hub:
        done = fetched(hub, tmp_path / "home")

    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "volume_gb" in done.stderr
    assert hub.asked == []


@pytest.mark.parametrize("offline", ["1", "true"])
def test_nothing_is_fetched_offline(offline: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the cache is all there is."""
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    download.fetch("some/model")
