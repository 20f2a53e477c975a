"""Files on network volumes without a pod, against the emulator's storage API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from controller.credentials.secret import Secret
from controller.errors import NotFound, PodctlError, Refused, UsageError, VerificationFailed
from controller.providers.base import NetworkVolume
from controller.providers.emulator_keys import storage_key
from controller.storage import etag
from controller.storage.access import StorageAccess, storage_access
from controller.storage.client import VolumeClient, VolumeFull, open_volume
from controller.storage.etag import comparable, file_etag
from controller.storage.folder_transfer import (
    fetch,
    local_files,
    matching,
    path_on_volume,
    send,
)
from controller.storage.volume_choice import chosen_volume
from controller.transfer.progress import TransferProgress
from tests.support.emulated_cloud import EmulatedCloud

CENTER = "EUR-IS-1"
NAMES = ("plain.txt", "a/b/ü ö.txt", "a/#1 ?&+%41.txt", "a/'quoted\".txt")


def silent(_: TransferProgress) -> None:
    """Progress that nobody watches."""


def no_sleep(_: float) -> None:
    """A wait that is none."""


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Files above 100 kB are sent in parts."""
    monkeypatch.setattr(etag, "PART", 100_000)
    monkeypatch.setattr("controller.storage.upload.PART", 100_000)
    return 100_000


def new_volume(cloud: EmulatedCloud, size: int = 10) -> str:
    body = {"name": "data", "size": size, "dataCenter": CENTER}
    return str(cloud.api("POST", "/v2/network-volumes", body).body["id"])


def access(cloud: EmulatedCloud, **changes: Any) -> StorageAccess:
    key, secret = storage_key(cloud.api_key)
    fields = {
        "endpoint": f"{cloud.base_url}/s3/{CENTER.lower()}",
        "region": CENTER,
        "access_key": key,
        "secret_key": Secret(secret),
    }
    return StorageAccess(**(fields | changes))


@pytest.fixture
def volume(cloud: EmulatedCloud) -> VolumeClient:
    return open_volume(access(cloud), new_volume(cloud))


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_folder_goes_there_and_back(volume: VolumeClient, tmp_path: Path) -> None:
    """Names with blanks, umlauts and URL characters, an empty file: the same bytes return, the
    second time nothing is sent or fetched, and a changed file is."""
    source = tmp_path / "in"
    for number, name in enumerate((*NAMES, "empty")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(b"x" * number * 1000 if name != "empty" else b"")

    first = send(volume, local_files(source, "d"), silent, no_sleep)
    again = send(volume, local_files(source, "d"), silent, no_sleep)
    back = fetch(volume, matching(volume, "d"), "d", tmp_path / "out", silent)
    kept = fetch(volume, matching(volume, "d"), "d", tmp_path / "out", silent)
    (source / "plain.txt").write_text("other")
    changed = send(volume, local_files(source, "d"), silent, no_sleep)

    assert tree(tmp_path / "out") == tree(source) | {"plain.txt": b""}
    assert (first.files, first.there, again.there) == (5, 0, 5)
    assert (back.there, back.unproven, kept.there) == (0, (), 5)
    assert (changed.bytes, changed.there) == (5, 4)


def test_parts_that_arrived_are_not_sent_again(
    volume: VolumeClient, tmp_path: Path, small_parts: int
) -> None:
    """An upload that broke off goes on with the parts that the volume has; the whole is checked,
    and no unfinished upload stays."""
    source = tmp_path / "weights"
    source.write_bytes(os.urandom(small_parts * 5 + 17))
    begun = volume.begin("w")
    volume.put_part("w", begun, 1, source.read_bytes()[:small_parts])
    sent: list[int] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(volume, name)

        def put_part(self, path: str, upload: str, number: int, content: bytes) -> str:
            sent.append(number)
            return volume.put_part(path, upload, number, content)

    send(Watched(), [(source, "w")], silent, no_sleep)  # type: ignore[arg-type]
    stored = volume.head("w")

    assert sorted(sent) == [2, 3, 4, 5, 6]
    assert stored is not None
    assert stored.etag == file_etag(source)
    assert volume.unfinished("w") == ()


def test_a_download_goes_on_where_it_stopped(volume: VolumeClient, tmp_path: Path) -> None:
    """The bytes of a fetch that broke off stay beside the target and are not fetched again."""
    content = os.urandom(3_000_000)
    (tmp_path / "source").write_bytes(content)
    send(volume, [(tmp_path / "source", "f")], silent, no_sleep)
    (stored,) = matching(volume, "f")
    out = tmp_path / "out"
    starts: list[int] = []

    class Broken:
        def __getattr__(self, name: str) -> Any:
            return getattr(volume, name)

        def read(self, path: str, tag: str, start: int) -> Any:
            starts.append(start)
            for number, block in enumerate(volume.read(path, tag, start)):
                if number == 1 and len(starts) == 1:
                    raise PodctlError("the link is gone")
                yield block

    with pytest.raises(PodctlError, match="the link is gone"):
        fetch(Broken(), [stored], "f", out, silent)  # type: ignore[arg-type]
    assert not out.exists()
    fetch(Broken(), [stored], "f", out, silent)  # type: ignore[arg-type]

    assert out.read_bytes() == content
    assert starts == [0, 1024 * 1024]
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_a_reported_success_without_a_file_is_found(
    cloud: EmulatedCloud, volume: VolumeClient, tmp_path: Path, small_parts: int
) -> None:
    """The storage API reports success and has no object, as was seen with large files: an error,
    for a small file and for one in parts, never a silent loss."""
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x")
    large.write_bytes(os.urandom(small_parts + 1))
    for source in (small, large):
        cloud.faults({"name": "lose_object", "times": 1, "match": {"method": "PUT|POST"},
                      "skip": 0 if source is small else 3})  # fmt: skip
        with pytest.raises(VerificationFailed, match="does not have what was sent"):
            send(volume, [(source, "x")], silent, no_sleep)


def test_failures_of_the_storage_api_are_repeated(
    cloud: EmulatedCloud, volume: VolumeClient, tmp_path: Path
) -> None:
    """Two 502 pages and a 500 in a row cost time and nothing else."""
    (tmp_path / "f").write_bytes(b"hello")
    cloud.faults({"name": "bad_gateway", "times": 2}, {"name": "server_error", "times": 1})
    send(volume, [(tmp_path / "f", "f")], silent, no_sleep)
    assert [stored.size for stored in volume.files()] == [5]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"secret_key": Secret("rps_WRONGWRONGWRONG")}, Refused, "RUNPOD_S3_SECRET_KEY"),
        ({"access_key": "user_other"}, Refused, "S3 API Keys"),
        ({"endpoint": "http://127.0.0.1:9"}, PodctlError, "goes on where it stopped"),
    ],
)
def test_wrong_keys_and_addresses_say_what_to_do(
    cloud: EmulatedCloud, changes: dict[str, Any], error: type[PodctlError], words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A wrong secret, an unknown access key, an address where nobody listens."""
    monkeypatch.setattr("controller.storage.client.TRIES", 1)
    client = open_volume(access(cloud, **changes), new_volume(cloud))
    with pytest.raises(error) as raised:
        list(client.files())
    assert words in raised.value.hint


def test_a_volume_of_another_data_center_is_not_found(cloud: EmulatedCloud) -> None:
    """The storage API of one data center has not the volumes of another."""
    endpoint = f"{cloud.base_url}/s3/us-ks-2"
    client = open_volume(access(cloud, endpoint=endpoint, region="US-KS-2"), new_volume(cloud))
    with pytest.raises(NotFound, match="no such volume"):
        client.put("x", b"y")
    with pytest.raises(NotFound, match="no such volume"):
        list(client.files())


def test_a_full_volume_is_said(cloud: EmulatedCloud, volume: VolumeClient) -> None:
    """What does not fit is refused by name, and leaves nothing."""
    assert list(volume.files()) == []
    (folder,) = (cloud.state_dir / "volumes").iterdir()
    with (folder / "sparse").open("wb") as file:
        file.truncate(10 * 10**9)
    with pytest.raises(VolumeFull):
        volume.put("x", b"more")
    assert volume.head("x") is None


def test_names_of_a_volume_are_not_trusted(
    cloud: EmulatedCloud, volume: VolumeClient, tmp_path: Path
) -> None:
    """A link on the volume does not lead out of it, hidden parts of uploads are no files, and a
    link here is not written through."""
    assert list(volume.files()) == []
    (folder,) = (cloud.state_dir / "volumes").iterdir()
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "folder").symlink_to("/etc")
    (folder / "d").mkdir()
    (folder / "d/f").write_text("x")
    volume.begin("half")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Refused):
        volume.head("link") or list(volume.read("link", "", 0))
    with pytest.raises(Refused):
        list(volume.read("folder/passwd", "", 0))
    assert [stored.path for stored in volume.files()] == ["d/f"]
    with pytest.raises(UsageError, match="link stands"):
        fetch(volume, matching(volume, "d"), "d", tmp_path / "out", silent)
    assert not (tmp_path / "elsewhere").exists()
    for path in ("../x", "a/../../x"):
        with pytest.raises(UsageError):
            path_on_volume(path)


def test_a_damaged_file_is_not_kept(
    cloud: EmulatedCloud, volume: VolumeClient, tmp_path: Path
) -> None:
    """Content that does not match the checksum, or the expected sha256, never takes the place."""
    from controller.storage.download import download

    volume.put("f", b"hello")
    (stored,) = matching(volume, "f")

    class Damaging:
        def read(self, path: str, tag: str, start: int) -> Any:
            yield b"hellO"

    damaging: Any = Damaging()
    with pytest.raises(VerificationFailed):
        download(damaging, stored, tmp_path / "f", str)
    with pytest.raises(VerificationFailed):
        download(volume, stored, tmp_path / "f", str, sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("tag", "size", "known"),
    [
        ("0" * 32, 5, True),
        ("0" * 32 + "-2", 5, False),
        ("0" * 32, 65 * 1024 * 1024, False),
        ("0" * 32 + "-2", 65 * 1024 * 1024, True),
        ("0" * 32 + "-9", 65 * 1024 * 1024, False),
        ("opaque", 5, False),
        ("", 5, False),
    ],
)
def test_only_checksums_of_own_parts_are_compared(tag: str, size: int, known: bool) -> None:
    """Another client's parts give another checksum, which proves nothing either way."""
    assert comparable(tag, size) is known


def test_the_key_is_its_own_and_never_amazons() -> None:
    """AWS_* variables of another provider are not sent; what is missing is named; a data center
    without the API is named with those that have it."""
    amazon = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "x"}
    with pytest.raises(Refused, match="RUNPOD_S3_ACCESS_KEY"):
        storage_access(CENTER, amazon)
    with pytest.raises(UsageError, match="US-TX-3") as raised:
        storage_access("US-TX-3", {})
    assert CENTER in raised.value.cause
    keys = {"RUNPOD_S3_ACCESS_KEY": "user_1", "RUNPOD_S3_SECRET_KEY": "rps_1"}
    assert storage_access(CENTER, keys).endpoint == "https://s3api-eur-is-1.runpod.io"


def test_a_volume_is_found_by_id_or_by_a_name_that_is_its_own() -> None:
    """Two of one name are told apart by their ids; none and no choice say what to type."""
    volumes = (
        NetworkVolume("a1", "data", 10, CENTER),
        NetworkVolume("b2", "data", 10, CENTER),
        NetworkVolume("c3", "other", 10, CENTER),
    )
    assert chosen_volume(volumes, "other", None).id == "c3"
    assert chosen_volume(volumes, None, "b2").id == "b2"
    with pytest.raises(UsageError, match="2 volumes"):
        chosen_volume(volumes, "data", None)
    with pytest.raises(NotFound):
        chosen_volume(volumes, "nope", "b2")
    with pytest.raises(NotFound, match="no network volume is chosen"):
        chosen_volume(volumes, None, None)


def test_a_clock_that_is_off_is_refused() -> None:
    """A signature of another time than the storage API's, by over an hour, is refused as such."""
    from controller.providers.emulator.storage.errors import StorageError
    from controller.providers.emulator.storage.signature import (
        SignedRequest,
        StorageKey,
        check_signature,
    )

    header = (
        "AWS4-HMAC-SHA256 Credential=k/20260101/r/s3/aws4_request, SignedHeaders=host, "
        "Signature=" + "0" * 64
    )
    headers = {"authorization": header, "x-amz-date": "20260101T000000Z", "host": "h"}
    with pytest.raises(StorageError) as raised:
        check_signature(SignedRequest("GET", "/", "", headers), StorageKey("k", "s"), "r", 0.0)
    assert raised.value.code == "RequestTimeTooSkewed"
