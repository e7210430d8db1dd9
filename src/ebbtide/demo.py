"""The shipped recording through the engine, and the findings beside the incidents its publisher labelled.

Nothing here is special to the demonstration but the labels: the recording is decoded, stored and judged as any file is.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet

from ebbtide import recording
from ebbtide.backtest import Backtest, instants, replay
from ebbtide.decode.preset import parse_preset
from ebbtide.decode.session import Session
from ebbtide.detect.detection import Detection
from ebbtide.engine import Evaluation
from ebbtide.finding.lifecycle import Episode
from ebbtide.series import HOUR_NS, Batch
from ebbtide.store.store import Store

#: A finding belongs to an incident if it overlaps it or the hour after it: the detections are judged hourly.
SLACK_NS = HOUR_NS
EVERY_NS = HOUR_NS
#: Into how many parts the labelled days are cut, so that no process waits long for another.
PARTS = 4


@dataclass(frozen=True, slots=True)
class Comparison:
    """One detection's episodes beside the labels.

    `found_by`: for each incident the episode that overlaps it, None for a miss. `extra`: episodes without a label.
    """

    backtest: Backtest
    incidents: tuple[recording.Incident, ...]
    found_by: tuple[Episode | None, ...]
    extra: tuple[Episode, ...]

    def count(self, *, is_outbound: bool) -> tuple[int, int]:
        """Found and labelled incidents, of those seen in an outbound metric or of the others."""
        picked = [
            by is not None
            for one, by in zip(self.incidents, self.found_by, strict=True)
            if one.is_outbound == is_outbound
        ]
        return sum(picked), len(picked)


def fill(store: Store, progress: Callable[[str], None]) -> int:
    """Import the recording; the number of samples stored. `progress` is told each machine's name when it is in."""
    store.set_floors(recording.FLOORS)
    session = Session(parse_preset(recording.mapping(), where="recording/mapping.yaml"))
    origin = store.begin("import", "recording", recording.UNIT)
    stored = 0
    for machine in recording.machines():
        body = io.BytesIO()
        pyarrow.parquet.write_table(recording.read(machine), body)
        stored += store.append(Batch.concat(session.read(io.BytesIO(body.getvalue()), "parquet")), origin).stored
        progress(machine)
    store.roll_up()
    return stored


def labelled_span() -> tuple[int, int]:
    """From when to when the labels reach, on full hours: the second half of the recording."""
    first = min(map(recording.labelled_from_ns, recording.machines()))
    last = max(one.end_ns for one in recording.incidents())
    return -(-first // HOUR_NS) * HOUR_NS, -(-last // HOUR_NS) * HOUR_NS + HOUR_NS


def compare(store: Store, detection: Detection, progress: Callable[[int, int], None]) -> Comparison:
    """Judge the labelled days hour by hour; `progress` is told ticks done and ticks in all."""
    first, last = labelled_span()
    return beside_labels(detection, replay(store, detection, first, last, EVERY_NS), progress)


def submit(pool: Executor, path: Path, detection: Detection) -> list[Future[list[Evaluation]]]:
    """Judge the labelled days of a store in the processes of `pool`: parts whose evaluations follow one another.

    An instant knows nothing of the one before, so it does not matter who judges it. The file must stay closed.
    """
    ticks = instants(*labelled_span(), EVERY_NS)
    size = -(-len(ticks) // PARTS)
    parts = [ticks[at : at + size] for at in range(0, len(ticks), size)]
    return [pool.submit(_judge_part, path, detection, part[0], part[-1]) for part in parts]


def _judge_part(path: Path, detection: Detection, first: int, last: int) -> list[Evaluation]:
    with own_copy(path) as store:
        return list(replay(store, detection, first, last, EVERY_NS))


@contextmanager
def own_copy(path: Path) -> Iterator[Store]:
    """A copy of a closed store, for one process alone: a file has one process that may open it."""
    with tempfile.TemporaryDirectory(prefix="ebbtide-demo-") as work:
        copy = Path(shutil.copy(path, work))
        with Store.open(copy, threads=1, is_new_allowed=False) as store:
            yield store


def beside_labels(
    detection: Detection, evaluations: Iterable[Evaluation], progress: Callable[[int, int], None]
) -> Comparison:
    """The episodes of these evaluations of all labelled days beside the labels; `progress` as `compare`."""
    backtest = Backtest(detection)
    ticks = len(instants(*labelled_span(), EVERY_NS))
    for evaluation in evaluations:
        backtest.add(evaluation)
        progress(backtest.ticks, ticks)
    incidents = recording.incidents()
    episodes = list(backtest.episodes.values())
    found_by = tuple(next((one for one in episodes if _overlaps(one, incident)), None) for incident in incidents)
    extra = tuple(one for one in episodes if not any(_overlaps(one, incident) for incident in incidents))
    return Comparison(backtest, incidents, found_by, extra)


def labels_of(machine: str, from_ns: int, to_ns: int) -> Iterable[recording.Incident]:
    """The incidents of a machine that touch [from_ns, to_ns)."""
    return (
        one for one in recording.incidents() if one.machine == machine and one.start_ns < to_ns and one.end_ns > from_ns
    )


def _overlaps(episode: Episode, incident: recording.Incident) -> bool:
    finding = episode.finding
    return (
        finding.entity.workload == incident.machine
        and finding.opened_ns < incident.end_ns + SLACK_NS
        and incident.start_ns < finding.end_ns
    )
