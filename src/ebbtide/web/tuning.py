"""Backtests of a changed detection beside the one in force: started, watched, cancelled, compared.

Each is the real backtest over the recorded history, in a thread of its own with a view of its own, one at a time: a
tick of the service must not wait for somebody's experiment. The last few are kept in memory.
"""

from __future__ import annotations

import difflib
import json
import shlex
import threading
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum

import yaml

from ebbtide.backtest import Backtest, instants, replay
from ebbtide.comparison import Comparison, compare, with_options
from ebbtide.detect.detection import Detection, Detectors
from ebbtide.errors import EbbtideError, NoDataError, NotFoundError, UsageError
from ebbtide.finding.text import rfc3339
from ebbtide.series import DAY_NS, SECOND_NS
from ebbtide.store.store import Store
from ebbtide.store.view import View

#: Jobs that are kept; the oldest finished one goes first.
MOST_JOBS = 20
#: Jobs that may wait or run: beyond it people should wait.
MOST_WAITING = 4
#: A longer backtest belongs on the command line.
MOST_TICKS = 20_000
_GRID_NS = 10 * SECOND_NS


class JobState(StrEnum):
    """How far a backtest is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Range:
    """What is judged: ticks in [from_ns, to_ns], `every_ns` apart."""

    from_ns: int
    to_ns: int
    every_ns: int

    @property
    def ticks(self) -> range:
        """The times of evaluation."""
        return instants(self.from_ns, self.to_ns, self.every_ns)


@dataclass(slots=True)
class Job:
    """One comparison. `before` is the detection in force, `after` the changed one; both None until done."""

    id: str
    owner: str
    detection: Detection
    changed: Detection
    range: Range
    state: JobState = JobState.WAITING
    ticks_done: int = 0
    error: str = ""
    before: Backtest | None = None
    after: Backtest | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def ticks(self) -> int:
        """Ticks in all, of both runs; of one where nothing was changed."""
        return len(self.range.ticks) * (1 if self.is_unchanged else 2)

    @property
    def is_unchanged(self) -> bool:
        """Whether the options are those in force."""
        return self.detection.options == self.changed.options

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in (JobState.DONE, JobState.CANCELLED, JobState.FAILED)


class Bench:
    """The backtests of one site. `close` cancels what runs."""

    def __init__(self, store: Store, detectors: Detectors) -> None:
        self._store = store
        self._detectors = detectors
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="ebbtide-backtest")

    def start(self, detection: Detection, options: Mapping[str, object], range_: Range, owner: str) -> Job:
        """Queue a backtest with these options. Raises UsageError for options or a range that cannot be used."""
        changed = with_options(detection, options, self._detectors)
        if not 0 < len(range_.ticks) <= MOST_TICKS:
            raise UsageError(
                f"{len(range_.ticks):,} evaluations are {'too many' if range_.ticks else 'none at all'}",
                hint=f"choose a range of 1 to {MOST_TICKS:,}; longer ones run with `ebbtide backtest`",
            )
        with self._lock:
            if sum(not job.is_over for job in self._jobs.values()) >= MOST_WAITING:
                raise UsageError("enough backtests wait already", hint="cancel one, or wait until they are done")
            job = Job(str(uuid.uuid4()), owner, detection, changed, range_)
            self._jobs[job.id] = job
            over = [one.id for one in self._jobs.values() if one.is_over]
            for old in over[: max(0, len(self._jobs) - MOST_JOBS)]:
                del self._jobs[old]
        self._worker.submit(self._run, job)
        return job

    def get(self, job_id: str) -> Job:
        """The backtest with this id. Raises NotFoundError."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotFoundError(f"there is no backtest {job_id[:40]!r}", hint="the last few are kept: start it again")
        return job

    def jobs(self) -> list[Job]:
        """All that are kept, the latest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def cancel(self, job_id: str) -> Job:
        """Stop a backtest at its next tick. Raises NotFoundError."""
        job = self.get(job_id)
        job.stop.set()
        if job.state is JobState.WAITING:
            job.state = JobState.CANCELLED
        return job

    def close(self) -> None:
        """Cancel everything and wait for the running tick to end."""
        with self._lock:
            for job in self._jobs.values():
                job.stop.set()
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _run(self, job: Job) -> None:
        if job.stop.is_set():
            job.state = JobState.CANCELLED
            return
        job.state = JobState.RUNNING
        try:
            with self._store.view() as view:
                before = self._replay(view, job, job.detection)
                after = before if job.is_unchanged else self._replay(view, job, job.changed)
            job.before, job.after = before, after
            job.state = JobState.CANCELLED if before is None or after is None else JobState.DONE
        except EbbtideError as error:
            job.error, job.state = str(error), JobState.FAILED
        except Exception as error:  # noqa: BLE001 a detector is a plug-in: the page must not wait for ever
            job.error, job.state = f"{job.detection.detector} failed: {error}", JobState.FAILED

    def _replay(self, view: View, job: Job, detection: Detection) -> Backtest | None:
        result = Backtest(detection)
        for evaluation in replay(
            view, detection, job.range.from_ns, job.range.to_ns, job.range.every_ns, self._detectors
        ):
            result.add(evaluation)
            job.ticks_done += 1
            if job.stop.is_set():
                return None
        return result


def default_range(view: View, detection: Detection) -> Range:
    """What `ebbtide backtest` takes without options: from a day after the first sample to the end of what is stored.

    Judged as often as there, less often where that would be more than `MOST_TICKS`.
    Raises NoDataError for an empty store.
    """
    span = view.reading.span()
    if span is None:
        raise NoDataError("there are no samples yet", hint="send some, or begin with: ebbtide import PATHS")
    from_ns, to_ns, every_ns = span[0] + DAY_NS, (span[1] // _GRID_NS + 1) * _GRID_NS, detection.history_ns
    return Range(from_ns, to_ns, every_ns * max(1, -(-(to_ns - from_ns) // (every_ns * (MOST_TICKS - 1)))))


def comparison_of(job: Job) -> Comparison | None:
    """What the change did; None until the job is done."""
    if job.before is None or job.after is None:
        return None
    return compare(job.before, job.after, job.range.from_ns, job.range.to_ns)


def diff(job: Job, origin: str) -> str:
    """The change as a unified diff of the detection's options in YAML; "" where nothing was changed."""
    before, after = _yaml(job.detection), _yaml(job.changed)
    return "".join(difflib.unified_diff(before, after, f"a/{origin}", f"b/{origin}"))


def _yaml(detection: Detection) -> list[str]:
    return yaml.safe_dump({"options": dict(detection.options)}, sort_keys=False).splitlines(keepends=True)


def command(job: Job, db: str) -> str:
    """The command line that says the same."""
    times = f"--from {rfc3339(job.range.from_ns)} --to {rfc3339(job.range.to_ns)}"
    options = " ".join(f"--set {shlex.quote(f'{name}={json.dumps(value)}')}" for name, value in _changed(job).items())
    return f"ebbtide backtest --db {db} --detection {job.detection.id} {times} {options} --json".replace("  ", " ")


def _changed(job: Job) -> dict[str, object]:
    before = dict(job.detection.options)
    return {name: value for name, value in job.changed.options.items() if before.get(name) != value}
