"""Copies of a store with something laid over them; the store itself stays as it is."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from build import Point, batch_of
from ebbtide.errors import DataError, NoDataError, StoreInUseError
from ebbtide.lab.cluster_inject import Plot
from ebbtide.lab.cluster_scenarios import choose
from ebbtide.lab.overlay import copy_store, inject_recording, lay_over, metric_names
from ebbtide.series import DAY_NS
from ebbtide.store.check import check
from ebbtide.store.store import Store
from simulated import small, small_store


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return Path(shutil.copy(small_store(tmp_path_factory), tmp_path_factory.mktemp("overlay") / "recorded.duckdb"))


def plot() -> Plot:
    last_ns = small().plan.parameters.last * 30 * 10**9
    return Plot(last_ns - DAY_NS, last_ns)


def digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_injected_is_in_the_copy_and_the_original_is_untouched(recorded, tmp_path):
    before = digest(recorded)

    planted = inject_recording(recorded, tmp_path / "copy.duckdb", choose(["X1", "X8", "X10"]), plot())

    assert digest(recorded) == before
    assert len(planted) > 10
    with Store.open(recorded) as store:
        clean = store.totals()
    with Store.open(tmp_path / "copy.duckdb") as store:
        both = store.totals()
        assert check(store) == []
        assert any(entity.process == "xmr-agent" for entity in store.identity.entities)
    assert {key: both[key] for key in clean} == clean
    added = sum(value for key, value in both.items() if key not in clean)
    columns = ("sent", "received", "packets_out", "packets_in", "sockets")
    assert added == sum(getattr(one.added, name).sum() for one in planted for name in columns)


def test_what_is_laid_over_has_the_unit_of_the_store(tmp_path):
    path = tmp_path / "scaled.duckdb"
    with Store.open(path) as store:
        store.append(batch_of([Point(60, 5)]), store.begin("import", "scaled", "scaled units"))
        lay_over(store, [batch_of([Point(120, 5)])], "more")
        assert store.contacts.units() == {"scaled units"}


def test_there_must_be_a_store_and_room_for_the_copy(recorded, tmp_path):
    with pytest.raises(NoDataError):
        copy_store(tmp_path / "none.duckdb", tmp_path / "copy.duckdb")
    with pytest.raises(DataError, match="there already"):
        copy_store(recorded, recorded)


def test_a_store_in_use_is_not_copied(recorded, tmp_path):
    hold = "import sys, duckdb; con = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(recorded)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreInUseError):
            copy_store(recorded, tmp_path / "copy.duckdb")
        holder.communicate(b"")
    assert not (tmp_path / "copy.duckdb").exists()


@pytest.mark.parametrize(
    ("metrics", "is_udp", "names"),
    [
        ({"tcp.bytes", "tcp.packets", "tcp.new_sockets"}, False, ("tcp.bytes", "tcp.packets", "tcp.new_sockets")),
        ({"net.bytes", "net.packets"}, False, ("net.bytes", "net.packets", None)),
        ({"net.bytes"}, False, ("net.bytes", None, None)),
        ({"udp.bytes", "udp.packets", "tcp.bytes"}, True, ("udp.bytes", "udp.packets", None)),
    ],
)
def test_samples_take_the_metrics_a_store_knows(metrics, is_udp, names):
    assert metric_names(frozenset(metrics), is_udp) == names
