"""Where the key and the address of a cloud come from, and where the key may go."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from controller.credentials.secret import Secret
from controller.errors import Refused, UsageError
from controller.providers.factory import Settings, access, open_provider


def settings(home: Path, **environ: str) -> Settings:
    return Settings(state_dir=home / ".podctl", environ=environ, home=home)


def sdk_file(home: Path, text: str) -> None:
    (home / ".runpod").mkdir()
    (home / ".runpod" / "config.toml").write_text(text)


def key_file(home: Path, text: str = "rpa_filed\n", mode: int = 0o600) -> str:
    path = home / "key"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_key_from_environment(tmp_path: Path) -> None:
    """The variable goes before the file, and the default address is RunPod's."""
    sdk_file(tmp_path, '[default]\napi_key = "rpa_filed"\n')
    credentials = access("runpod", settings(tmp_path, RUNPOD_API_KEY=" rpa_set "))

    assert credentials.api_key.reveal() == "rpa_set"
    assert credentials.base_url == "https://api.runpod.io"


@pytest.mark.parametrize("text", ['[default]\napi_key = "rpa_filed"\n', 'apikey = "rpa_filed"\n'])
def test_key_from_the_sdks_file(tmp_path: Path, text: str) -> None:
    """The file of the SDK's own login serves, with its profile or without."""
    sdk_file(tmp_path, text)

    assert access("runpod", settings(tmp_path)).api_key.reveal() == "rpa_filed"


def test_key_from_a_key_file(tmp_path: Path) -> None:
    """A private file with one key serves."""
    credentials = access("runpod", settings(tmp_path, RUNPOD_API_KEY_FILE=key_file(tmp_path)))

    assert credentials.api_key.reveal() == "rpa_filed"


@pytest.mark.parametrize(("text", "mode"), [("rpa_x", 0o644), ("", 0o600), ("two words", 0o600)])
def test_crooked_key_file(tmp_path: Path, text: str, mode: int) -> None:
    """A key file that others may read, or without exactly one key, is refused."""
    path = key_file(tmp_path, text, mode)

    with pytest.raises(Refused) as caught:
        access("runpod", settings(tmp_path, RUNPOD_API_KEY_FILE=path))
    assert caught.value.where == path


def test_no_key(tmp_path: Path) -> None:
    """Without a key, the error names every place where one may be."""
    with pytest.raises(Refused) as caught:
        open_provider("runpod", settings(tmp_path))

    assert "RUNPOD_API_KEY_FILE" in caught.value.cause
    assert "config.toml" in caught.value.where
    assert "RUNPOD_API_KEY" in caught.value.hint


def test_base_url(tmp_path: Path) -> None:
    """The variable goes before the user's own file, and that before podctl.toml."""
    here = Settings(
        api_base_url="https://rest.runpod.io/",
        environ={"RUNPOD_API_KEY": "rpa_x"},
        home=tmp_path,
    )
    variable = {"RUNPOD_API_KEY": "rpa_x", "RUNPOD_API_BASE_URL": "http://127.0.0.1:8/"}

    assert access("runpod", here).base_url == "https://rest.runpod.io"
    own = users_file(tmp_path, 'api_base_url = "https://gateway.example/runpod/"\n')
    assert access("runpod", here).base_url == "https://gateway.example/runpod"
    assert access("runpod", settings(tmp_path, **variable)).base_url == "http://127.0.0.1:8"
    own.chmod(0o666)
    with pytest.raises(Refused, match="other users can change your settings"):
        access("runpod", here)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8795",
        "https://evil.example",
        "https://api.runpod.io.evil.example",
        "https://evil.example/api.runpod.io",
        "https://api.runpod.io:8443",
        "https://xapi.runpod.io",
        "https://pod-8000.proxy.runpod.net",
        "https://api.runpod.io@evil.example",
        "https://api.runpod.io:x",
        "https://[evil",
    ],
)
def test_a_project_file_does_not_choose_where_the_account_key_goes(
    tmp_path: Path, url: str
) -> None:
    """podctl.toml comes with a clone: another address than RunPod's is refused."""
    here = Settings(api_base_url=url, environ={"RUNPOD_API_KEY": "rpa_x"}, home=tmp_path)
    with pytest.raises(UsageError) as caught:
        access("runpod", here)

    assert "base URL" in caught.value.what or "RUNPOD_API_BASE_URL" in caught.value.hint


def users_file(home: Path, text: str) -> Path:
    """What the user said for every project."""
    path = home / ".config" / "podctl" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("url", ["http://example.com", "ftp://x", "api.runpod.io", "https://a@b"])
def test_crooked_base_url(tmp_path: Path, url: str) -> None:
    """The key does not travel unencrypted, nor to what is no plain base URL."""
    with pytest.raises(UsageError):
        access("runpod", settings(tmp_path, RUNPOD_API_KEY="rpa_x", RUNPOD_API_BASE_URL=url))


def test_emulator_of_the_project(tmp_path: Path) -> None:
    """The emulator is found by its file, and never gets the account's key."""
    (tmp_path / ".podctl").mkdir()
    document = {"base_url": "http://127.0.0.1:8080", "api_key": "rpa_emulator", "pid": 1}
    (tmp_path / ".podctl" / "emulator.json").write_text(json.dumps(document))

    credentials = access("emulator", settings(tmp_path, RUNPOD_API_KEY="rpa_real"))

    assert (credentials.base_url, credentials.api_key.reveal()) == (
        "http://127.0.0.1:8080",
        "rpa_emulator",
    )
    assert open_provider("emulator", settings(tmp_path)).name == "emulator"


def test_emulator_by_variable(tmp_path: Path) -> None:
    """The variable goes before the file; another machine is no emulator."""
    credentials = access("emulator", settings(tmp_path, PODCTL_EMULATOR_URL="http://localhost:1"))

    assert credentials.base_url == "http://localhost:1"
    with pytest.raises(UsageError):
        access("emulator", settings(tmp_path, PODCTL_EMULATOR_URL="https://api.runpod.io"))


def test_no_emulator(tmp_path: Path) -> None:
    """Where none runs, the next command is named."""
    with pytest.raises(Refused) as caught:
        access("emulator", settings(tmp_path))

    assert "podctl emulator" in caught.value.hint


def test_unknown_provider(tmp_path: Path) -> None:
    """A name that is none of ours is a mistake in the settings."""
    with pytest.raises(UsageError):
        access("lambda", settings(tmp_path))


def test_secret_does_not_show() -> None:
    """A secret is text only where it is asked for."""
    secret = Secret("rpa_hidden")

    assert f"{secret} {secret!r} {[secret]} {secret:>5}" == "*** *** [***]   ***"
    assert secret == Secret("rpa_hidden")
    assert secret != Secret("rpa_other")
    assert secret.reveal() == "rpa_hidden"
    for dump in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError):
            dump(secret)


def test_opening_is_light() -> None:
    """Finding the key does not import the SDK."""
    code = "import sys, controller.providers.factory; print('runpod' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "False"
