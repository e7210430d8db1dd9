"""Files: found out by their first bytes, read in order, and one bad line costs one line."""

from __future__ import annotations

import gzip
import io
from typing import BinaryIO, cast

import pytest
import zstandard
from requests_of_decode import END_NS, Point, hec, otlp_json, parquet, proto, session, table

from ebbtide.decode import files
from ebbtide.errors import DecodeError
from ebbtide.series import SECOND_NS, Batch


def points(at: int) -> list[Point]:
    return [Point(value=at, end_ns=END_NS + at * 30 * SECOND_NS)]


LINES = b"".join(otlp_json(points(at)) + b"\n" for at in range(5))
ZSTD = zstandard.ZstdCompressor()


def sized(records: list[bytes]) -> bytes:
    return b"".join(len(record).to_bytes(4, "big") + record for record in records)


def read(data: bytes, format_name: str | None = None) -> Batch:
    return Batch.concat(session().read(io.BytesIO(data), format_name))


@pytest.mark.parametrize(
    "data",
    [
        LINES,
        b"\n\n  " + LINES,
        LINES.rstrip(),
        gzip.compress(LINES),
        gzip.compress(LINES[:500]) + gzip.compress(LINES[500:]),
        ZSTD.compress(LINES),
        ZSTD.compress(LINES[:500]) + ZSTD.compress(LINES[500:]),
        b"\n".join(hec(points(at)) for at in range(5)),
        sized([proto(points(at)) for at in range(5)]),
        sized([ZSTD.compress(proto(points(at))) for at in range(5)]),
        table([one for at in range(5) for one in points(at)]),
        gzip.compress(table([one for at in range(5) for one in points(at)])),
        parquet([one for at in range(5) for one in points(at)]),
    ],
    ids=[
        "lines",
        "blank lines",
        "no last newline",
        "gzip",
        "gzip members",
        "zstd",
        "zstd frames",
        "hec",
        "sized proto",
        "sized zstd proto",
        "csv",
        "csv gzip",
        "parquet",
    ],
)
def test_every_kind_of_file_holds_the_same(data: bytes) -> None:
    batch = read(data)
    assert batch.value.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0] and len(batch.series) == 1


def test_sized_compressed_json_is_read_when_told() -> None:
    data = sized([ZSTD.compress(otlp_json(points(at))) for at in range(3)])
    assert len(read(data, "otlp_json")) == 3


def test_a_bad_line_is_counted_and_remembered() -> None:
    data = LINES[:800] + b"\n" + LINES
    reader = session().reader(io.BytesIO(b"{nonsense\n" * 20 + LINES), "otlp_json")
    batch = Batch.concat(reader)
    assert len(batch) == 5 and batch.counts.rejected == {"bad_line": 20}
    assert [line.number for line in reader.bad_lines] == list(range(1, 11))
    assert reader.bad_lines[0].message
    assert len(read(data)) >= 5


def test_a_torn_last_line_costs_itself() -> None:
    batch = read(LINES[:-200])
    assert len(batch) == 4 and batch.counts.rejected == {"bad_line": 1}


@pytest.mark.parametrize("compress", [gzip.compress, ZSTD.compress], ids=["gzip", "zstd"])
def test_a_torn_archive_gives_what_came_before_and_says_so(compress: object) -> None:
    many = b"".join(otlp_json([Point(value=at * 7919 % 1000)]) + b"\n" for at in range(3000))
    data = compress(many)[:-50]  # type: ignore[operator]
    found = []
    with pytest.raises(DecodeError, match="end"):
        found.extend(session().read(io.BytesIO(data)))
    assert len(found) > 100


def test_an_endless_line_is_not_read_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LINE_BYTES_MAX", 4096)
    reader = session().reader(io.BytesIO(b"{" * 50_000 + b"\n" + LINES), "otlp_json")
    batch = Batch.concat(reader)
    assert len(batch) == 5 and batch.counts.rejected == {"bad_line": 1}


def test_a_record_that_grows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LINE_BYTES_MAX", 10_000)
    bomb = ZSTD.compress(b" " * 1_000_000)
    batch = read(sized([bomb, proto(points(1))]), "otlp_proto")
    assert len(batch) == 1 and batch.counts.rejected == {"bad_line": 1}


def test_a_damaged_size_stops_the_file() -> None:
    with pytest.raises(DecodeError, match="record"):
        read(sized([proto(points(1))]) + b"\xff\xff\xff\xff", "otlp_proto")


@pytest.mark.parametrize("data", [b"nonsense", b"\x00" * 100, b"\x7fELF"])
def test_an_unknown_file_is_refused_with_a_hint(data: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        read(data)
    assert caught.value.hint


def test_an_empty_file_is_no_error() -> None:
    assert len(read(b"")) == 0


def test_parquet_in_gzip_is_refused() -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(DecodeError, match="seekable"):
        list(session().read(cast(BinaryIO, Stream(parquet(points(1))))))


def test_a_file_is_read_as_it_is_asked_for() -> None:
    class Watched(io.BytesIO):
        taken = 0

        def readinto(self, buffer: object) -> int:
            got = super().readinto(buffer)  # type: ignore[arg-type]
            Watched.taken += got
            return got

    big = LINES * 2000
    batches = session().read(cast(BinaryIO, Watched(big)))
    next(batches)
    assert Watched.taken < len(big) / 2


@pytest.mark.parametrize("data", [LINES, gzip.compress(LINES), ZSTD.compress(LINES)], ids=["plain", "gzip", "zstd"])
def test_the_callers_file_stays_open(data: bytes) -> None:
    file = io.BytesIO(data)
    assert len(list(session().read(file))) == 5
    assert not file.closed
