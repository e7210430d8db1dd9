"""A VictoriaMetrics of the benchmark's own: started on loopback with its own directory, ended by its process."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

BINARY = "victoria-metrics"


def version() -> str | None:
    """What the binary calls itself, None where there is none."""
    if shutil.which(BINARY) is None:
        return None
    said = subprocess.run([BINARY, "-version"], capture_output=True, text=True, check=False)
    words = (said.stdout + said.stderr).split()
    if words and words[-1] != "victoria-metrics":
        return " ".join(words)
    found = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", BINARY], capture_output=True, text=True, check=False
    )
    return f"{BINARY} {found.stdout}"


class Victoria:
    """A running server; a context manager that starts and ends it."""

    def __init__(self, directory: Path, *, query_s: int = 300) -> None:
        self._directory, self._query_s = directory, query_s
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._at = f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._log = (self._directory / "victoria.log").open("wb")
        self._process = subprocess.Popen(
            [
                BINARY,
                f"-storageDataPath={self._directory / 'victoria'}",
                f"-httpListenAddr={self._at}",
                "-retentionPeriod=100y",
                "-search.disableCache",  # a tick asks about a window it has never asked about before
                f"-search.maxQueryDuration={self._query_s}s",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        for _ in range(300):
            try:
                self._call("/health")
                return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.__exit__(None, None, None)
        raise RuntimeError(f"{BINARY} did not start, see {self._directory / 'victoria.log'}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(60)
        self._log.close()

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    @property
    def peak_mb(self) -> int:
        """The most memory the server ever had, in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1000

    def load(self, bodies: Iterable[bytes]) -> float:
        """Send lines of its import API, then have everything written and searchable; the seconds the server took."""
        took = 0.0
        for body in bodies:
            begin = time.perf_counter()
            self._call("/api/v1/import", body)
            took += time.perf_counter() - begin
        begin = time.perf_counter()
        self._call("/internal/force_flush")
        self._call("/internal/force_merge")
        return took + time.perf_counter() - begin

    def ask(self, query: str, at_s: float) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each result of an instant query."""
        form = urllib.parse.urlencode({"query": query, "time": f"{at_s:.3f}", "nocache": 1}).encode()
        said = json.loads(self._call("/api/v1/query", form))
        return [(row["metric"], float(row["value"][1])) for row in said["data"]["result"]]

    def _call(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"http://{self._at}{path}", data=body)
        with urllib.request.urlopen(request, timeout=self._query_s + 60) as answer:
            return bytes(answer.read())
