"""The program of a stage's command: what can be known of it before a pod is rented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import pytest

from controller.preflight.command_line import parse
from controller.preflight.program import Upload, complaints, started
from controller.preflight.program_file import Complaint

FILES: dict[str, bytes] = {
    "train.py": b"print(1)\n",
    "src/train.py": b"print(1)\n",
    "src/broken.py": b"def f(:\n",
    "src/run.sh": b"#!/bin/bash\nset -e\n",
    "src/crlf.sh": b"#!/bin/bash\r\nset -e\r\n",
    "src/mixed.sh": b"#!/bin/bash\nset -e\r\n",
    "src/crlf.py": b"print(1)\r\n",
    "src/bare.sh": b"echo hi\n",
    "src/bom.sh": b"\xef\xbb\xbf#!/bin/bash\n",
    "src/mac": b"\xcf\xfa\xed\xfe\x0c\x00",
    "src/tool.exe": b"MZ\x90\x00",
    "src/linux": b"\x7fELF\x02\x01\x01" + b"\0" * 11 + b"\x3e\0",
    "src/arm": b"\x7fELF\x02\x01\x01" + b"\0" * 11 + b"\xb7\0",
    "src/empty": b"#!\n",
    "pkg/__init__.py": b"",
    "pkg/main.py": b"",
    "tool/__main__.py": b"",
    "datasets/mine.py": b"",
    "a": b"x",
}


def found(command: Sequence[str], files: Mapping[str, bytes] = FILES) -> list[Complaint]:
    here = {"left/behind.py", "other/mod.py", "left"}
    upload = Upload(
        {path: partial(bytes, data) for path, data in files.items()},
        here.__contains__,
        root="/home/me/project",
        awaited=("made",),
    )
    return list(complaints(command, upload))


@pytest.mark.parametrize(
    "command",
    [
        "python train.py",
        "python3.11 -u -X dev -W ignore src/train.py --epochs 3",
        "python -uB src/train.py",
        "python -c print(1)",
        "python -m pkg.main",
        "python -m tool",
        "python tool",
        "python -m json.tool file",
        "python -m remote.stages.sft",
        "python -m torch.distributed.run --nproc_per_node 2 src/train.py",
        "python made/code.py",
        "python src/../src/train.py",
        "python .//src/train.py",
        "python /workspace/elsewhere.py",
        "python src/crlf.py",
        "bash src/run.sh now",
        "bash -eu -o pipefail src/run.sh",
        "bash -lc true",
        "./src/run.sh",
        "src/run.sh",
        "src/linux",
        "env A=1 B=2 python train.py",
        "nice -n 5 timeout 2h python src/train.py",
        "torchrun --standalone --nproc_per_node=2 src/train.py",
        "torchrun --nproc_per_node 2 src/train.py --config x.yaml",
        "accelerate launch --multi_gpu src/train.py",
        "accelerate launch --num_processes 2 -m pkg.main",
        "uv run src/train.py",
        "uv run python src/train.py",
        "/usr/bin/python3 train.py",
        "/usr/bin/env python train.py",
    ],
)
def test_what_can_run_is_not_refused(command: str) -> None:
    """Nothing is said of the usual ways to start a program that is there."""
    assert found(command.split(" ")) == []


@pytest.mark.parametrize(
    ("command", "what", "mend"),
    [
        ("./a.sh", "./a.sh is not in the upload", ""),
        ("src/trian.py", "src/trian.py is not in the upload", "src/train.py"),
        ("python src/trian.py", "src/trian.py is not in the upload", "did you mean src/train.py"),
        ("python -u missing.py", "missing.py is not in the upload", ""),
        ("python scripts/run.sh", "scripts/run.sh is not in the upload", "src/run.sh"),
        ("python src\\train.py", "not in the upload", "write src/train.py, with slashes"),
        ("python left/behind.py", "is here and would not be sent", 'include = ["left"]'),
        ("python src", "src is a folder", "script"),
        ("./src", "./src is a folder", "program"),
        ("bash train.sh", "train.sh is not in the upload", ""),
        ("python -m pkg.mod", "the module pkg.mod is not in the upload", "pkg/main.py"),
        ("python -m src.trian", "the module src.trian is not in the upload", "src/train.py"),
        ("python -m pkg", "pkg is a package without __main__.py", "pkg/__main__.py"),
        ("python -m src/train.py", "src/train.py is no module's name", "python -m src.train"),
        ("torchrun src/x.py", "src/x.py is not in the upload", ""),
        ("torchrun --standalone src/x.py", "src/x.py is not in the upload", ""),
        ("accelerate launch src/x.py", "src/x.py is not in the upload", ""),
        ("env A=1 python src/x.py", "src/x.py is not in the upload", ""),
        ("./src/crlf.sh", "Windows line ends", "sed -i 's/\\r$//' src/crlf.sh"),
        ("bash src/crlf.sh", "Windows line ends", "sed"),
        ("./src/bom.sh", "byte order mark", "sed"),
        ("./src/bare.sh", "no #! line", '"bash", "src/bare.sh"'),
        ("./train.py", "no #! line", '"python", "train.py"'),
        ("./src/empty", "an empty #! line", ""),
        ("./src/mac", "a program for macOS", ""),
        ("src/tool.exe", "a program for Windows", ""),
        ("train.py", "looked for in PATH", "./train.py"),
        ("a", "looked for in PATH", "./a"),
        ("~/train.py", "no shell reads the ~", ""),
        ("python /home/me/project/train.py", "a path of this machine", "train.py"),
        ("/home/me/project/src/run.sh", "a path of this machine", "src/run.sh"),
        ("source venv/bin/activate", "a word of the shell", "one string"),
        ("cd src && python train.py", "is for a shell", "one string"),
        ("export A=1", "a word of the shell", "one string"),
    ],
)
def test_what_no_pod_can_run_is_certain(command: str, what: str, mend: str) -> None:
    """Case 10 and its kind: named, with what to write instead."""
    first = found(command.split(" "))[0]

    assert first.certain
    assert what in first.what
    assert mend in first.mend


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("accelerate-launcher launch src/a", "the pod's image must have it"),
        ("torchrun --config src/x.py", "src/x.py is not in the upload"),
        ("bash src/mixed.sh", "Windows line ends"),
        ("python src/broken.py", "line 1: this Python cannot read it"),
        ("src/arm", "another processor"),
        ("python -m datasets.other", "the module datasets.other is not in the upload"),
        ("python -m other.mod", "is here and not sent"),
        ("python train.py > log.txt", "is for a shell"),
        ("mytool run", "the pod's image must have it"),
    ],
)
def test_what_only_the_pod_knows_is_a_remark(command: str, what: str) -> None:
    """An image has programs and modules of its own: nothing is refused for them."""
    complaints = found(command.split(" "))

    assert [one.certain for one in complaints] == [False]
    assert what in complaints[0].what


def test_the_nearest_program_is_named() -> None:
    """Case 10-cmd-no-such: what was meant, where it is to be guessed."""
    assert found(["accelerate-launcher", "launch"])[0].mend == "did you mean accelerate?"
    assert found(["pyhton", "train.py"])[0].mend == "did you mean python?"


def test_one_word_with_spaces_is_no_program() -> None:
    """The commonest mistake of a list: the whole command as its only word."""
    (one,) = found(["python src/train.py"])

    assert one.certain
    assert "as one string" in one.mend
    assert found([" "])[0].certain


@pytest.mark.parametrize(
    ("text", "certain"),
    [
        ("python src/x.py", True),
        ("A=1 python src/x.py", True),
        ("python src/x.py && echo done", False),
        ("python src/x.py | tee log", False),
        ("cd src && python x.py", None),
        ("python $SCRIPT", None),
        ("for i in 1 2; do python x.py; done", None),
        ("python src/train.py 'quoted", None),
        ("python src/train.py", None),
        ("source env.sh; python src/train.py", None),
    ],
)
def test_a_text_for_a_shell_is_read_where_it_is_plain(text: str, certain: bool | None) -> None:
    """A simple command is as certain as a list; anything with a shell's own words is not."""
    assert [one.certain for one in found(["sh", "-c", text])][:1] == (
        [] if certain is None else [certain]
    )


def test_a_folder_called_remote_would_hide_podctls_own() -> None:
    """`python -m` looks into the work folder first."""
    (one,) = found(["python", "-m", "remote.stages.sft"], {"remote/__init__.py": b""})
    assert one.certain


@pytest.mark.parametrize(
    ("command", "paths"),
    [
        (["./src/run.sh"], {"src/run.sh"}),
        (["src/../src/run.sh", "x"], {"src/run.sh"}),
        (["env", "A=1", "./run"], {"run"}),
        (["bash", "src/run.sh"], set()),
        (["python"], set()),
        (["/bin/true"], set()),
        (["sh", "-c", "A=1 ./a x && nice ./b; cat c | d/e\n./f 'open"], {"a", "b", "d/e"}),
    ],
)
def test_what_is_started_itself_needs_its_run_bit(command: list[str], paths: set[str]) -> None:
    """The program, and not what an interpreter reads."""
    assert started(command) == paths


def test_every_argv_has_a_meaning() -> None:
    """Options without their values, and wrappers without a program, are no error."""
    heads = ("python", "bash", "env", "nice", "timeout", "uv", "torchrun", "accelerate", "perl")
    for head in heads:
        for tail in (
            [],
            ["-m"],
            ["-n"],
            ["-W"],
            ["run"],
            ["launch"],
            ["-c"],
            ["A=1"],
            ["2h"],
            [""],
        ):
            assert parse([head, *tail]).script in ("", "A=1", "2h", "run", "launch")
