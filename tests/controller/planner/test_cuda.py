"""Which CUDA version is read from an image's name and from `min_cuda`."""

from __future__ import annotations

import pytest

from controller.planner import cuda


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("runpod/pytorch:1.0.3-cu1290-torch291-ubuntu2204", "12.9"),
        ("runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404", "12.8"),
        ("runpod/pytorch:2.4.0-py3.11-cuda12.4.1-devel-ubuntu22.04", "12.4"),
        ("pytorch/pytorch:2.9.1-cuda12.9-cudnn9-runtime", "12.9"),
        ("nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04", "12.4"),
        ("nvcr.io/nvidia/cuda:13.0.0-base-ubuntu24.04", "13.0"),
        ("nvcr.io/nvidia/pytorch:24.05-py3", "12.4"),
        ("somebody/train:12.4.1-cudnn9-devel", "12.4"),
        ("ghcr.io/somebody/train:torch2.4-cu121", "12.1"),
        ("somebody/train:cu118", "11.8"),
        ("somebody/train:cu13.0", "13.0"),
        ("somebody/train:cuda128-py311", "12.8"),
        ("somebody/train:cuda-12-8", "12.8"),
        ("somebody/cuda12.6-torch:latest", "12.6"),
        ("localhost:5000/train:CUDA12.8@sha256:0123", "12.8"),
        ("somebody/train:cu12", "12.0"),
        ("runpod/base:1.0.2-ubuntu2204", None),
        ("localhost:5000/train", None),
        ("rocm/pytorch:rocm6.2_ubuntu22.04_py3.10_pytorch_2.3.0", None),
        ("postgres:12.4-alpine", None),
        ("somebody/accu121:7", None),
        ("somebody/cuda-app:14.1", None),
        ("", None),
    ],
)
def test_an_images_tag_says_its_cuda(image: str, version: str | None) -> None:
    """Of common ways to write tags each gives major.minor; another number is no CUDA version."""
    assert cuda.of_image(image) == version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("12.8", "12.8"), (" 12.8.1 ", "12.8"), ("12", "12.0"), ("CUDA 12.8", "12.8"),
        ("cu128", "12.8"), ("cu1290", "12.9"), (">=12.4", "12.4"), ("12.8+", "12.8"),
        ("twelve", None), ("12,8", None), ("", None), ("128", None), ("-1", None),
    ],
)  # fmt: skip
def test_versions_as_people_write_them(text: str, version: str | None) -> None:
    """Read, or known to be none."""
    assert cuda.parse(text) == version


def test_what_the_user_says_goes_before_the_tag() -> None:
    """`min_cuda` overrides, also to nothing at all."""
    image = "x/y:cu129"

    assert cuda.floor(None, image) == "12.9"
    assert cuda.floor("12.4", image) == "12.4"
    assert cuda.floor("any", image) is None
    assert cuda.floor(None, "x/y") is None


def test_versions_that_never_were() -> None:
    """A complete major version has a last release; one to come is believed."""
    assert cuda.released("12.9")
    assert cuda.released("13.2")
    assert not cuda.released("12.12")
    assert not cuda.released("11.9")
    assert cuda.order("12.11") > cuda.order("12.2")
