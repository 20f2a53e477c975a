"""What of an upload looks like a secret: by name and by content, told without its value."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase

import pytest

from controller.transfer import secret_scan
from controller.transfer.secret_scan import by_content, by_name
from controller.transfer.snapshot import LikelySecret, take
from state.redaction import REDACTED, Redactor
from state.secret_kinds import KINDS
from tests.controller.transfer.test_snapshot import lay
from tests.support.laptop import Laptop

LETTERS = "".join(
    f"{low}{high}{place % 10}"
    for place, (low, high) in enumerate(zip(ascii_lowercase, ascii_uppercase[::-1], strict=True))
)
HEX = "0123456789abcdef" * 3
VALUES = {
    "eyJ": f"{LETTERS[:20]}.eyJ{LETTERS[:30]}.{LETTERS[:43]}",
    "AKIA": "IOSFODNN7Q2MPLEX",
    "dapi": HEX[:32],
    "SG.": f"{LETTERS[:22]}.{LETTERS[:43]}",
    "AIza": LETTERS[:35],
    "hooks.slack.com/services/": "T01234567/B01234567/" + LETTERS[:24],
    "discord.com/api/webhooks/": "123456789012345678/" + LETTERS,
    "AGE-SECRET-KEY-1": LETTERS.upper()[:58],
    "dop_v1_": HEX + HEX[:16],
}
VALUES |= dict.fromkeys(("ASIA", "ABIA", "ACCA"), VALUES["AKIA"])
VALUES |= dict.fromkeys(("doo_v1_", "dor_v1_"), VALUES["dop_v1_"])
OTHERS = {
    "kaggle.json's": json.dumps({"username": "me", "key": HEX[:32]}),
    "W&B by variable": f"export WANDB_API_KEY={HEX[:40]}",
    "W&B by call": f'wandb.login(key="{HEX[:40]}")',
    "W&B in .netrc": f"machine api.wandb.ai\n  login user\n  password {HEX[:40]}",
    "AWS secret": f"aws_secret_access_key = {LETTERS[:40]}",
    "npm": f"//registry.npmjs.org/:_authToken={LETTERS[:36]}",
    "docker": json.dumps({"auths": {"r": {"auth": base64.b64encode(b"me:secret-word").decode()}}}),
    "kube": "    client-key-data: " + base64.b64encode(b"-----BEGIN RSA " * 4).decode(),
    "kube token": f"    token: eyJ{LETTERS}",
    "azure": "AccountKey=" + LETTERS + LETTERS[:19] + "==",
    "telegram": "123456789:AA" + LETTERS[:33],
    "database": f"postgresql://me:{LETTERS[:12]}@db.internal:5432/x",
    "a setting": f"SERVICE_API_KEY = '{LETTERS[:32]}'",
    "JSON": json.dumps({"name": "x", "api_key": LETTERS[:32]}),
    "code": f"client = Client(api_key='{LETTERS[:32]}', retries=3)",
    "a token by variable": f"NEPTUNE_API_TOKEN={LETTERS[:40]}",
    "JWT": f"Cookie: session=eyJ{LETTERS[:20]}.eyJ{LETTERS[:30]}.{LETTERS[:43]}",
    "YAML": f"db_password: {LETTERS[:24]}",
    "OpenSSH": "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nabc",
    "PGP": "-----BEGIN PGP PRIVATE " + "KEY BLOCK-----",
    "PuTTY": "PuTTY-User-Key-" + "File-3: ssh-ed25519",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.start)
def test_one_list_says_what_is_found_and_what_is_hidden(kind: secret_scan.Kind) -> None:
    """Every kind is found in a file with its line, and hidden in what is shown; a part of a word
    is neither."""
    value = kind.start + VALUES.get(kind.start, LETTERS)
    text = f"first\nkey = '{value}'\n"
    (line,) = {suspicion.line for suspicion in by_content("a", text.encode())}

    assert line == 2
    assert value not in Redactor()(text)
    assert value.encode() not in Redactor().redact(text.encode())
    assert len(Redactor().redact(text.encode())) == len(text)
    if kind.start.isalpha():
        assert by_content("a", f"x{value}".encode()) == []


@pytest.mark.parametrize("case", list(OTHERS))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_no_start_tells_is_found_in_every_encoding(case: str, encoding: str) -> None:
    """As files of the tools have it, also as PowerShell writes them."""
    suspicions = by_content("a", ("# one\n\n" + OTHERS[case] + "\nlast\n").encode(encoding))

    assert suspicions, case
    assert suspicions[0].line in (3, 4, 5)
    assert not any(OTHERS[case] in str(suspicion) for suspicion in suspicions)


@pytest.mark.parametrize(
    "name",
    [
        *("_netrc", "x/.netrc", "prod.env", ".env.production", ".envrc", "a.tfvars", "a.tfstate"),
        *("secrets.toml", ".streamlit/secrets.toml", "app-secrets.yaml", "kaggle.json", ".npmrc"),
        *(".docker/config.json", "home/.kube/config", "kubeconfig", "store.jks", "a.keystore"),
        *("b.p12", "k.ppk", "db.kdbx", "id_ed25519", "ID_RSA", "client_secret_1.json"),
        *("service-account-x.json", "gcp_credentials.json", ".aws/credentials", ".pgpass"),
        *(".huggingface/token", "rclone.conf", ".git-credentials", "hf_token.txt"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    """Files that tools keep keys in, in any folder and case."""
    assert by_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *(".env.example", "prod.env.sample", "secrets.example.toml", "terraform.tfvars.template"),
        *("id_rsa.pub", "credentials.py", "secrets.py", "token", "config.json", "tokenizer.json"),
        *(
            "environment.yml",
            "keys.txt",
            "docs/credentials.md",
            "special_tokens_map.json",
            "config",
        ),
    ],
)
def test_names_of_other_files(name: str) -> None:
    """Examples, public halves, code, and a model's own files are sent; what is in them is read."""
    assert by_name(name) is None


@pytest.mark.parametrize(
    "text",
    [
        "task-forced sk-learn hf_hub_download disk-usage-of-the-whole-machine-in-gigabytes rpa_",
        'HF_TOKEN = os.environ["HF_TOKEN"]',
        "export HF_TOKEN=your-token-goes-here-1234",
        "TOKEN_PATH=/home/me/some/very/long/path/to/a/file1",
        "eos_token: <|endoftext|>",
        "pad_token = 'begin_of_text_v1_2024_06_reserved'",
        '{"eos_token": "begin_of_text_v1_2024_06_reserved"}',
        "pad_token = '<pad>'  # 0123456789",
        "sk-" + "x" * 36 + " is what a key looks like",
        "postgres://user:" + "password@localhost/db and https://${USER}:${PASSWORD}@host",
        "max_new_tokens = 123456789012345678901234",
        "machine learning needs a login and a password somewhere",
        "API_KEY = 'AAAAAAAAAAAAAAAAAAAAAAAA1'",  # pragma: allowlist secret
        "sha256 = " + HEX,
    ],
)
def test_ordinary_text_is_no_secret(text: str) -> None:
    """Placeholders, variables, hashes and words that begin like a token."""
    assert by_content("a", text.encode()) == []


def test_everything_found_is_told_at_once_without_a_value(tmp_path: Path) -> None:
    """File, line and kind of each, and how to say that it is none."""
    value = "hf_" + LETTERS
    lay(tmp_path, {"a.py": f"\n\ntoken = '{value}'\n", "b/c.md": f"{OTHERS['AWS secret']}\n"})
    with pytest.raises(LikelySecret) as refused:
        take(tmp_path, ["."])
    text = str(refused.value.as_dict())

    assert "a.py, line 3 looks like a Hugging Face token" in refused.value.what
    assert "b/c.md, line 1 looks like an AWS key" in refused.value.where
    assert 'not_secret = ["a.py", "b/c.md"]' in refused.value.hint
    assert LETTERS[:20] not in text
    assert len(take(tmp_path, ["."], allow=("a.py", "b/")).files) == 2
    assert len(take(tmp_path, ["."], allow=("*.py", "c.md")).files) == 2
    with pytest.raises(LikelySecret):
        take(tmp_path, ["."], allow=("a.py",))


def test_a_line_may_say_that_it_is_no_secret(tmp_path: Path) -> None:
    """As other scanners have it."""
    value = "hf_" + LETTERS
    lay(tmp_path, {"a.py": f"A = '{value}'  # pragma: allowlist secret\n"})
    take(tmp_path, ["."])

    lay(tmp_path, {"a.py": f"A = '{value}'  # pragma: allowlist secret\nB = '{value}'\n"})
    with pytest.raises(LikelySecret, match="line 2"):
        take(tmp_path, ["."])


def test_a_whole_text_is_searched_and_a_big_file_is_not(tmp_path: Path) -> None:
    """To the end of some megabytes; what is larger is data."""
    value = ("hf_" + LETTERS).encode()
    lay(tmp_path, {"a.txt": b"word " * 1_000_000 + b"\n" + value})
    with pytest.raises(LikelySecret, match=r"a\.txt, line 2"):
        take(tmp_path, ["."])

    lay(tmp_path, {"a.txt": value + b"\n" * secret_scan.MAX_BYTES})
    assert len(take(tmp_path, ["."]).files) == 1


def test_a_file_that_was_clean_is_searched_again_when_it_changed(tmp_path: Path) -> None:
    """Between the look before renting and the upload."""
    lay(tmp_path, {"a.txt": "nothing"})
    take(tmp_path, ["."])
    lay(tmp_path, {"a.txt": "hf_" + LETTERS})

    with pytest.raises(LikelySecret):
        take(tmp_path, ["."])


def test_a_link_to_a_secret_is_one(tmp_path: Path) -> None:
    """Whatever it is called here."""
    lay(tmp_path, {"prod.env": "A=1", "src/a": ""})
    (tmp_path / "src/settings").symlink_to("../prod.env")

    with pytest.raises(LikelySecret, match="src/settings"):
        take(tmp_path, ["src"])


def test_plan_and_run_refuse_a_secret_before_renting(laptop: Laptop) -> None:
    """With the same exit code and without its value, until podctl.toml says that it is none."""
    value = "glpat-" + LETTERS
    laptop.write()
    (laptop.folder / "in.txt").write_text(f"one\n{value}\n")
    for words in (("plan", "hello"), ("plan", "hello", "--files"), ("run", "hello", "-y")):
        result = laptop.podctl(*words, expect=2)
        assert "in.txt, line 2 looks like a GitLab token" in result.out + result.err
        assert LETTERS[:12] not in result.out + result.err
    assert laptop.creates() == []

    config = laptop.folder / "podctl.toml"
    config.write_text(config.read_text() + '\n[upload]\nnot_secret = ["in.txt"]\n')
    laptop.podctl("plan", "hello")


def test_a_short_secret_is_told_at_the_start(laptop: Laptop) -> None:
    """It cannot be hidden: the user should know before a job prints it."""
    laptop.write()
    config = laptop.folder / "podctl.toml"
    text = config.read_text().replace("[stages.hello]", '[stages.hello]\nsecrets = ["PIN"]')
    config.write_text(text)
    laptop.environment["PIN"] = "12345"
    result = laptop.podctl("run", "hello", "-y", "--give-secrets")

    assert "PIN is shorter than 8 characters and cannot be redacted" in result.err
    assert "12345" not in result.err.replace("PIN", "")


@pytest.mark.parametrize("follows", ["", "x", ":more", "\n"])
@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("secret", ["12345678", "kanarien+vogel/7?", "a" * 9 + "Z"])
def test_the_last_group_of_base64_is_hidden(secret: str, before: str, follows: str) -> None:
    """Whatever stands before and after it, in both alphabets."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode((before + secret + follows).encode()).decode()
        start = -(-len(before) * 4 // 3) + (1 if len(before) % 3 else 0)
        end = -(-(len(before) + len(secret)) * 4 // 3)
        shown = Redactor(secret)(f"<{text}>")
        blotted = Redactor(secret).redact(f"<{text}>".encode())

        assert REDACTED in shown
        assert text[start:end][-4:] not in shown.replace(REDACTED, "")
        assert set(blotted[1:][start:end]) == {ord("*")}
