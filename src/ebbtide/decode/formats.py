"""The formats on one screen: name -> what decodes it. Adding one means adding a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from ebbtide.decode.catalog import Catalog
from ebbtide.decode.columns import CsvTable, ParquetTable
from ebbtide.decode.hec import Hec
from ebbtide.decode.otlp import OtlpProto
from ebbtide.decode.otlp_json import OtlpJson
from ebbtide.decode.remote_write import RemoteWrite
from ebbtide.decode.temporality import CounterState
from ebbtide.series import Batch


class Decoder(Protocol):
    """One wire format. Called from one thread at a time; touches nothing but its catalog and `state`."""

    name: str

    def decode(self, body: bytes, state: CounterState) -> Batch:
        """The samples of one uncompressed body, each of its points counted once.

        Raises DecodeError, with a hint, only for a body that is not of this format at all.
        """
        ...


DECODERS: Final[dict[str, Callable[[Catalog], Decoder]]] = {
    "otlp_proto": OtlpProto,
    "otlp_json": OtlpJson,
    "hec": Hec,
    "remote_write": RemoteWrite,
    "csv": CsvTable,
    "parquet": ParquetTable,
}
