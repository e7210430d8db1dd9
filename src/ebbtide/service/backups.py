"""Backups on a schedule: copies of the open store in a directory, the newest few kept.

The command line cannot open the file of a running service, so the service makes its own. One that fails is told and
tried again an hour later; it stops nothing else.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from ebbtide.errors import EbbtideError
from ebbtide.series import HOUR_NS, SECOND_NS
from ebbtide.store.store import Store

#: Names this file gives; nothing else in the directory is ever touched.
_NAME = re.compile(r"ebbtide-\d{8}T\d{6}Z\.duckdb")
RETRY_NS = HOUR_NS


class Backups:
    """Copies into `directory` every `every_ns`, of which `keep` are kept. `error` is why the last one failed."""

    def __init__(self, directory: Path, every_ns: int, keep: int) -> None:
        self.error = ""
        self._directory, self._every_ns, self._keep = directory, every_ns, keep
        self._next_ns: int | None = None

    def files(self) -> list[Path]:
        """The backups there are, oldest first."""
        if not self._directory.is_dir():
            return []
        return sorted(one for one in self._directory.iterdir() if _NAME.fullmatch(one.name))

    def make_if_due(self, store: Store, now_ns: int) -> Path | None:
        """Make one when the newest is older than `every_ns`; the file, None where none was due or it failed."""
        if self._next_ns is None:
            self._next_ns = max((_time_of(one) + self._every_ns for one in self.files()), default=now_ns)
        if now_ns < self._next_ns:
            return None
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            moment = datetime.fromtimestamp(now_ns // SECOND_NS, UTC)
            made = self._directory / f"ebbtide-{moment:%Y%m%dT%H%M%SZ}.duckdb"
            store.backup(made)
            for old in self.files()[: -self._keep]:
                old.unlink()
        except (EbbtideError, OSError) as error:
            self.error, self._next_ns = str(error), now_ns + RETRY_NS
            return None
        self.error, self._next_ns = "", now_ns + self._every_ns
        return made


def _time_of(file: Path) -> int:
    moment = datetime.strptime(file.name, "ebbtide-%Y%m%dT%H%M%SZ.duckdb").replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND_NS
