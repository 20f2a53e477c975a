"""A bad host is found out before the job costs anything, and the finding names the check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remote.contract import Exit, Preflight
from remote.pod.command import Result
from remote.supervisor import preflight
from tests.support.emulated_cloud import until
from tests.support.pod_side import PodSide

WRITE = "pathlib.Path('out').mkdir(exist_ok=True); pathlib.Path('out/a').write_text('abc')\n"


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """Importable modules: one good, one that hangs, one that is broken, and two torches."""
    (tmp_path / "good_one.py").write_text("open('imported', 'a').write('x')\n")
    (tmp_path / "hangs.py").write_text("import time\ntime.sleep(60)\n")
    (tmp_path / "broken.py").write_text("raise OSError('libcudart.so.12: cannot open')\n")
    old = (
        "class cuda:\n  def init():\n"
        "    raise RuntimeError('The NVIDIA driver on your system is\\ntoo old (found 11040)')\n"
    )
    (tmp_path / "torch.py").write_text(old)
    return tmp_path


def smi(folder: Path, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "nvidia-smi").chmod(0o755)


def end_of(pod: PodSide, modules: Path, **need: Any) -> Exit:
    env = {"PYTHONPATH": str(modules), "PATH": f"{modules / 'bin'}:{pod.env['PATH']}"}
    pod.start(pod.spec(WRITE, preflight=Preflight(**need), env=env))
    return pod.ended()


def test_an_import_that_hangs_is_the_hosts_fault(pod: PodSide, modules: Path) -> None:
    """It is killed at its deadline, the module is named, and the job never starts."""
    end = end_of(pod, modules, imports=("good_one", "hangs"), deadline_seconds=1.0)

    assert (end.reason, end.rc) == ("preflight", 78)
    assert end.detail == "imports: no answer within 1 s (importing hangs)"
    assert not (pod.work() / "out").exists()


def test_an_import_that_fails_says_why(pod: PodSide, modules: Path) -> None:
    """The error's own text is the detail."""
    end = end_of(pod, modules, imports=("broken",))

    assert end.detail == "imports: import broken: OSError: libcudart.so.12: cannot open"


def test_a_missing_module_is_found(pod: PodSide, modules: Path) -> None:
    """Nothing installs it here, so the job could not run."""
    assert "no_such_module" in end_of(pod, modules, imports=("no_such_module",)).detail


def test_a_gpu_is_needed_and_there_is_none(pod: PodSide, modules: Path) -> None:
    """No driver tool at all, or one that lists nothing."""
    smi(modules / "bin", "echo NVIDIA-SMI has failed; exit 9")
    end = end_of(pod, modules, needs_gpu=True)

    assert end.detail == "gpu: NVIDIA-SMI has failed"


def test_a_driver_that_hangs_is_the_hosts_fault(pod: PodSide, modules: Path) -> None:
    """nvidia-smi in an endless wait is ended with its children."""
    smi(modules / "bin", "sleep 60")
    end = end_of(pod, modules, needs_gpu=True, deadline_seconds=0.8)

    assert end.detail.startswith("gpu: no answer within 0.8 s")
    until(lambda: not [c for c in pod.processes().values() if c.startswith("sleep")])


def test_torch_names_a_cuda_mismatch(pod: PodSide, modules: Path) -> None:
    """The driver's version is torch's to judge; its text is kept."""
    smi(modules / "bin", "echo NVIDIA A40, 46068")
    end = end_of(pod, modules, needs_gpu=True, min_gpu_memory_gb=48.0, imports=("torch",))

    assert end.detail.startswith("cuda: torch cannot use the GPU: The NVIDIA driver on your system")
    assert end.detail.endswith("too old (found 11040)")


def test_a_disk_that_is_too_small_is_found(pod: PodSide, modules: Path) -> None:
    """Free space is asked for in decimal gigabytes."""
    end = end_of(pod, modules, min_free_gb=1e6)

    assert end.detail.startswith("disk: ")
    assert "need 1000000.0 GB" in end.detail


def test_a_good_host_is_checked_once_a_boot(pod: PodSide, modules: Path) -> None:
    """What passed is not paid for again by the next run; after a reboot it is."""
    for run in ("r1", "r2", "r3"):
        if run == "r3":
            pod.reboot()
        env = {"PYTHONPATH": str(modules)}
        need = Preflight(imports=("good_one",), min_free_gb=0.001)
        pod.start(pod.spec(WRITE, run=run, preflight=need, env=env))
        assert pod.ended(run).rc == 0

    assert (pod.root / "imported").read_text() == "xx"


def test_a_greater_need_is_checked_again(pod: PodSide, modules: Path) -> None:
    """What was enough for one run need not be for the next on the same pod."""
    smi(modules / "bin", "echo NVIDIA A40, 46068")
    env = {"PATH": f"{modules / 'bin'}:{pod.env['PATH']}"}
    ends = []
    for run, least in (("r1", 48.0), ("r2", 80.0)):
        need = Preflight(needs_gpu=True, min_gpu_memory_gb=least)
        pod.start(pod.spec(WRITE, run=run, preflight=need, env=env))
        ends.append(pod.ended(run).reason)

    assert ends == ["exited", "preflight"]


A40 = "NVIDIA A40, 46068"


@pytest.mark.parametrize(
    ("rc", "output", "need", "wrong"),
    [
        (0, A40, {"min_gpu_memory_gb": 48}, None),
        (0, "NVIDIA L40S, 46068\nNVIDIA L40S, 46068", {"min_gpu_memory_gb": 48}, None),
        (0, "NVIDIA GeForce RTX 4090, 24564", {"min_gpu_memory_gb": 24}, None),
        (0, "NVIDIA H100 80GB HBM3, 81559", {"min_gpu_memory_gb": 80}, None),
        (0, A40, {"min_gpu_memory_gb": 80}, "NVIDIA A40 has 48.3 GB, need 80 GB"),
        (
            0,
            f"{A40}\nTesla T4, 15360",
            {"min_gpu_memory_gb": 40},
            "Tesla T4 has 16.1 GB, need 40 GB",
        ),
        (0, "A, [N/A]", {"min_gpu_memory_gb": 1}, "A does not say its memory: [N/A]"),
        (0, "", {}, "nvidia-smi lists no GPU"),
        (6, "No devices were found", {}, "No devices were found"),
    ],
)
def test_gpu_memory_is_judged_as_sold(
    rc: int, output: str, need: dict[str, Any], wrong: str | None
) -> None:
    """Every GPU must have it; a 48 GB card that reports 44.99 GiB has it."""
    assert preflight.gpu_wrong(Result(rc, output), Preflight(**need)) == wrong


@pytest.mark.parametrize(
    ("output", "gpus", "count", "wrong"),
    [
        (A40, ("NVIDIA L40S", "NVIDIA A40"), 1, None),
        (A40, ("NVIDIA L40S",), 1, "NVIDIA A40 was delivered, need NVIDIA L40S"),
        (A40, ("NVIDIA L40",), 1, "NVIDIA A40 was delivered, need NVIDIA L40"),
        (f"{A40}\n{A40}", ("A40",), 2, None),
        (A40, ("A40",), 2, "1 x NVIDIA A40, need 2"),
        (f"{A40}\n{A40}", (), 1, None),
        (f"{A40}\nNVIDIA L4, 23034", ("A40",), 2, "NVIDIA L4 was delivered, need A40"),
        ("NVIDIA H100 80GB HBM3, 81559", ("H100 SXM",), 1, None),
        ("NVIDIA A100-SXM4-80GB, 81920", ("A100 SXM",), 1, None),
    ],
)
def test_row_22_another_type_or_fewer_gpus_than_rented_are_refused(
    output: str, gpus: tuple[str, ...], count: int, wrong: str | None
) -> None:
    """The pod says what it has before a job starts; what the stage does not accept is given back.

    A type is known by the words with a digit in its name; how a catalog spells it does not matter.
    """
    need = Preflight(needs_gpu=True, gpus=gpus, gpu_count=count)

    assert preflight.gpu_wrong(Result(0, output), need) == wrong
