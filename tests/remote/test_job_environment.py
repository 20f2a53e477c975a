"""Which variables of an image a job has: all but those of the pod's start, and secrets."""

from __future__ import annotations

import subprocess

import pytest

from remote.supervisor.job_environment import of_image, script


@pytest.mark.parametrize(
    "name",
    [
        "CONDA_PREFIX", "WANDB_PROJECT", "TRITON_CACHE_DIR", "PYTHONPATH", "TOKENIZERS_PARALLELISM",
        "AXOLOTL_DO_NOT_TRACK", "MY_APP", "LD_LIBRARY_PATH", "RUNPOD_POD_ID", "HF_HUB_OFFLINE",
    ],
)  # fmt: skip
def test_the_images_own_variables_reach_the_job(name: str) -> None:
    """Whatever its Dockerfile says, without a list of names."""
    assert of_image({name: "x"}) == {name: "x"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUNPOD_API_KEY", "x"), ("PUBLIC_KEY", "ssh-ed25519 x"), ("PODCTL_GUARD", "{}"),
        ("JUPYTER_PASSWORD", "x"), ("HF_TOKEN", "x"), ("GITHUB_TOKEN", "x"), ("DB_PASS", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"), ("OPENAI_API_KEY_2", "x"), ("APITOKEN", "x"),
        ("DATABASE_URL", "postgres://u:p@host/db"),  # pragma: allowlist secret
        ("SSH_AUTH_SOCK", "/x"), ("PWD", "/"),
        ("BASH_ENV", "/x"), ("RUNPOD_PUBLIC_IP", "1.2.3.4"),
    ],
)  # fmt: skip
def test_no_key_and_nothing_of_the_pods_start_does(name: str, value: str) -> None:
    """By name, or by a login in an address."""
    assert of_image({name: value}) == {}


def test_the_script_sets_every_value_as_it_is() -> None:
    """Quotes, newlines and dollars; what is no variable's name is left out."""
    values = {"A": 'it\'s "$HOME"\nnext', "B": "", "BASH_FUNC_x%%": "() { :; }"}
    text = script(values).decode()
    shown = subprocess.run(
        ["sh", "-c", f'{text}printf "%s|%s" "$A" "$B"'], capture_output=True, text=True, check=True
    ).stdout

    assert shown == values["A"] + "|"
    assert "BASH_FUNC" not in text
