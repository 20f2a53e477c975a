"""TensorBoard's files, as its writers make them and as nobody should."""

from __future__ import annotations

import base64
import io
import os
import random
import struct

import pytest

from remote.supervisor import tensorboard
from remote.supervisor.tensorboard import MAX_RECORD, Scalar
from tests.support.event_files import event, event_file, nested, record, scalar, simple, varint

# What tensorboardX 2 wrote for two steps of train/loss, train/learning_rate and eval/loss.
WRITTEN = """
GAAAAAAAAACjf0siCSWGRPxuw9pBGg1icmFpbi5FdmVudDoyy+JbHiAAAAAAAAAAKe2pUAlG1kX8bsPaQRAKKhMK
EQoKdHJhaW4vbG9zcxWamRlAxEAZhikAAAAAAAAAN/9fAAlk3kX8bsPaQRAKKhwKGgoTdHJhaW4vbGVhcm5pbmdf
cmF0ZRWsxac3gCRo6x8AAAAAAAAAUUtEGAnm3kX8bsPaQRAKKhIKEAoJZXZhbC9sb3NzFQAAwD/AVAW5IAAAAAAA
AAAp7alQCV/fRfxuw9pBEBQqEwoRCgp0cmFpbi9sb3NzFTMzE0AYiM8wKQAAAAAAAAA3/18ACaTfRfxuw9pBEBQq
HAoaChN0cmFpbi9sZWFybmluZ19yYXRlFazFpzeWu/GaHwAAAAAAAABRS0QYCerfRfxuw9pBEBQqEgoQCglldmFs
L2xvc3MVAADAP3tIQIY=
"""


def read(data: bytes, offset: int = 0) -> tuple[list[Scalar], int]:
    return tensorboard.read(io.BytesIO(data), offset)


def test_a_file_that_a_writer_made_is_read() -> None:
    """Tags, steps and values; the writer's own checksums are right by ours."""
    data = base64.b64decode(WRITTEN)

    found, offset = read(data)

    assert [(one.tag, one.step) for one in found] == [
        ("train/loss", 10),
        ("train/learning_rate", 10),
        ("eval/loss", 10),
        ("train/loss", 20),
        ("train/learning_rate", 20),
        ("eval/loss", 20),
    ]
    assert found[3].value == pytest.approx(2.3)
    assert offset == len(data)


def test_ours_are_written_as_theirs() -> None:
    """What the other tests read has the same bytes around it."""
    data = base64.b64decode(WRITTEN)
    (length,) = struct.unpack("<Q", data[:8])

    assert record(data[12 : 12 + length]) == data[: 16 + length]


def test_a_scalar_of_tensorflow_2_is_a_tensor() -> None:
    """A float in its content or in its list, or a double; a tensor of two numbers is none."""
    single = nested(1, b"loss") + nested(8, b"\x08\x01" + nested(4, struct.pack("<f", 1.5)))
    listed = nested(1, b"loss") + nested(8, b"\x08\x01" + nested(5, struct.pack("<f", 2.5)))
    double = nested(1, b"loss") + nested(8, b"\x08\x02" + nested(6, struct.pack("<d", 3.5)))
    vector = nested(1, b"loss") + nested(8, b"\x08\x01" + nested(4, bytes(8)))
    whole = nested(1, b"loss") + nested(8, b"\x08\x03" + nested(4, bytes(4)))

    found = tensorboard.event(event(7, single, listed, double, vector, whole))

    assert [one.value for one in found] == [1.5, 2.5, 3.5]


def test_a_record_that_is_being_written_is_read_the_next_time() -> None:
    """The offset stays at its beginning until the whole of it is there."""
    data = event_file(("loss", 1, 2.0), ("loss", 2, 1.0))
    found, offset = read(data[:-1])
    rest, end = read(data, offset)

    assert [one.step for one in found + rest] == [1, 2]
    assert end == len(data)


def test_a_picture_is_passed_over_unread() -> None:
    """A record that is larger than scalars are costs a seek."""
    data = record(event(1, nested(1, b"x") + nested(4, bytes(MAX_RECORD)))) + record(
        scalar("loss", 2, 1.0)
    )

    assert read(data)[0] == [Scalar("loss", 2, 1.0)]


def test_where_no_record_begins_the_file_is_given_up() -> None:
    """A length without its checksum may be anything: nothing after it is believed."""
    data = event_file(("loss", 1, 2.0))
    garbled = data + b"\x00" * 12 + event_file(("loss", 2, 1.0))

    found, offset = read(garbled)

    assert [one.step for one in found] == [1]
    assert offset == len(garbled)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_not_told(value: float) -> None:
    """A loss that has become NaN is none."""
    assert tensorboard.event(event(1, simple("loss", value))) == []


def test_a_negative_or_endless_step_is_none() -> None:
    """Its highest bits are set, or it is larger than any training is long."""
    assert tensorboard.event(event(2**64 - 1, simple("loss", 1.0))) == []
    assert tensorboard.event(event(10**13, simple("loss", 1.0))) == []


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 40,
        b"\x2a\xff\xff\xff\xff\x0f",  # a summary longer than its record
        nested(5, nested(1, nested(1, b"loss"))),  # a tag without a value
        b"\x2b" + b"\x2c",  # groups, which nobody writes any more
        nested(5, b"\x0a" * 5000),
        varint(2 << 3) + b"\xff" * 11,
    ],
)
def test_a_record_that_makes_no_sense_has_no_scalars(data: bytes) -> None:
    """And raises nothing."""
    assert tensorboard.event(data) == []


def test_whatever_the_bytes_are_nothing_is_raised() -> None:
    """Ten thousand records that were changed in some places, and as many of nothing but noise."""
    draw = random.Random(7)
    whole = event(3, simple("train/loss", 1.0), simple("lr", 2e-5))
    for _ in range(10_000):
        bent = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            bent[draw.randrange(len(bent))] = draw.randrange(256)
        tensorboard.event(bytes(bent[: draw.randrange(len(bent) + 1)]))
        tensorboard.event(draw.randbytes(draw.randrange(64)))
    read(os.urandom(100_000))
