"""Whether the hub lets a job read its model: asked from here, before a pod is rented."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from controller.credentials.secret import Secret
from controller.errors import NotFound, Refused
from controller.preflight import model_hub as hub
from remote.stages.text.model_id import problem_of
from tests.support.hub_server import Hub, serving

TOKEN = "hf_kanarienvogelkanarienvogel"
MODEL = "some/model"


@pytest.fixture
def served() -> Iterator[Hub]:
    hub._asked.cache_clear()
    with serving(Hub({"config.json": b"{}"})) as one:
        yield one
    hub._asked.cache_clear()


def look(served: Hub, token: str = "", model: str = MODEL, **more: str) -> str:
    environ = {"HF_ENDPOINT": served.url} | more
    return hub.look(model, Secret(token) if token else None, environ)


def test_a_model_that_can_be_read_is_nothing_to_tell(served: Hub) -> None:
    """One HEAD request with the job's token, and no second one for the next stage."""
    assert look(served, TOKEN) == look(served, TOKEN) == ""
    assert served.tokens == [f"Bearer {TOKEN}"]


@pytest.mark.parametrize(
    ("status", "code", "text", "kind"),
    [
        (401, "GatedRepo", "Access to model is restricted. You must be authenticated", Refused),
        (403, "GatedRepo", "you are not in the authorized list. Visit the page to ask", Refused),
        (401, "RepoNotFound", "Repository not found", Refused),
        (403, "", "please enable access to public gated repositories", Refused),
        (404, "RepoNotFound", "Repository not found", NotFound),
        (404, "EntryNotFound", "Entry not found", NotFound),
    ],
)
def test_a_definite_no_is_an_obstacle(
    served: Hub, status: int, code: str, text: str, kind: type[Refused] | type[NotFound]
) -> None:
    """Case 30: with the hub's whole sentence, and what to do with and without a token."""
    served.refusals[MODEL] = (status, code, text)
    for token in ("", TOKEN):
        with pytest.raises(kind) as caught:
            look(served, token)
        assert text in caught.value.cause
        assert TOKEN not in str(caught.value.as_dict())
        if code != "EntryNotFound":
            assert ("export HF_TOKEN" in caught.value.hint) == (not token)


@pytest.mark.parametrize(
    ("status", "text"), [(429, "rate limited"), (500, ""), (502, "bad gateway"), (404, "")]
)
def test_anything_else_is_a_remark(served: Hub, status: int, text: str) -> None:
    """The pod asks again; nothing is refused for a hub that has a bad day."""
    served.refusals[MODEL] = (status, "", text)

    assert (text or str(status)) in look(served)


def test_a_redirect_is_an_answer_and_takes_no_token_away(served: Hub) -> None:
    """A model that was renamed can be read; the address it moved to is not asked."""
    served.refusals[MODEL] = (307, "", "")

    assert look(served, TOKEN) == ""
    assert len(served.tokens) == 1


def test_nobody_there_is_a_remark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, without an answer in time, or switched off: a word, soon, and no error."""
    hub._asked.cache_clear()
    monkeypatch.setattr(hub, "SECONDS", 0.2)
    assert "not known" in hub.look(MODEL, None, {"HF_ENDPOINT": "http://127.0.0.1:9"})
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        assert "not known" in hub.look(MODEL, None, {"HF_ENDPOINT": address})
    assert "HF_HUB_OFFLINE" in hub.look(MODEL, None, {"HF_HUB_OFFLINE": "1"})
    for crooked in ("ftp://hub", "hub.example", "http://", "http://[", "http://h:x"):
        assert hub.look(MODEL, None, {"HF_ENDPOINT": crooked})
    hub._asked.cache_clear()


def test_a_token_is_not_sent_unencrypted() -> None:
    """To another machine only over TLS: the model is not asked for instead."""
    environ = {"HF_ENDPOINT": "http://mirror.example"}
    assert "no token was sent" in hub.look(MODEL, Secret(TOKEN), environ)


@pytest.mark.parametrize(
    "name",
    [
        *("no/such/id", "Qwen/Qwen2.5-32B ", "../x", "./x", "/x", "", " ", "a/b/", "/b", "a//b"),
        *("a--b", "a..b", "-a", "a-", ".a", "a/b.git", "a b", "a/b\n", "ä/b", "a/" + "b" * 97),
        *("https://huggingface.co/Qwen/Qwen2.5-32B", "~/models/x", "a\\b", "a/b@main", "a/b:7b"),
    ],
)
def test_impossible_ids(name: str) -> None:
    """Case 30: what the hub can never have is told without asking."""
    assert problem_of(name)


@pytest.mark.parametrize(
    "name",
    ["Qwen/Qwen2.5-32B", "gpt2", "meta-llama/Llama-3.1-8B", "a/b_c.d-e", "01-ai/Yi-34B", "_a/_b_"],
)
def test_possible_ids(name: str) -> None:
    """What real models are called."""
    assert problem_of(name) == ""
