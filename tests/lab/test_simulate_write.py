"""Files, receivers and stores."""

import http.server
import json
import threading

import pytest

from ebbtide.decode.preset import load_preset
from ebbtide.decode.session import Session
from ebbtide.errors import ServiceError, UsageError
from ebbtide.lab import simulate_write
from ebbtide.lab.simulate_plan import PER_DAY
from ebbtide.lab.simulate_write import fill, send, stream, truth, write_file
from ebbtide.store.store import Store
from simulated import small, small_plan


def within(simulation):
    first = simulation.plan.parameters.first
    return first, first + 240


@pytest.mark.parametrize("name", ["a.jsonl", "a.binpb", "a.jsonl.zst", "a.binpb.zst"])
def test_a_file_is_read_back_whole(tmp_path, name):
    simulation = small()
    written = write_file(stream(simulation, between=within(simulation)), tmp_path / name)

    with (tmp_path / name).open("rb") as file:
        reader = Session(load_preset("opentelemetry-network")).reader(file)
        batches = list(reader)

    assert sum(batch.counts.accepted for batch in batches) == written > 1000
    assert reader.bad_lines == []


def test_a_name_that_says_nothing_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"what is a\.parquet"):
        write_file(iter(()), tmp_path / "a.parquet")


def test_the_same_parameters_give_the_same_file(tmp_path):
    for name in ("a.binpb", "b.binpb"):
        write_file(stream(small(), between=within(small())), tmp_path / name)

    assert (tmp_path / "a.binpb").read_bytes() == (tmp_path / "b.binpb").read_bytes()


class _Receiver(http.server.ThreadingHTTPServer):
    """Says 503 to the first posts, then keeps bodies; or always refuses."""

    def __init__(self, refusals: int, status: int = 503) -> None:
        self.refusals, self.status = refusals, status
        self.bodies: list[bytes] = []
        self.paths: set[str] = set()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refusals > 0:
            self.server.refusals -= 1
            self.send_response(self.server.status)
        else:
            self.server.bodies.append(body)
            self.server.paths.add(self.path)
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setattr(simulate_write, "_FIRST_WAIT_S", 0.001)
    servers = []

    def start(refusals: int, status: int = 503) -> tuple[_Receiver, str]:
        server = _Receiver(refusals, status)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return server, f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_receiver_that_is_busy_is_asked_again(receiver):
    simulation = small()
    server, url = receiver(2)
    first = simulation.plan.parameters.first

    sent = send(stream(simulation, between=(first, first + 3)), url)

    session = Session(load_preset("opentelemetry-network"))
    assert sum(session.decode("otlp_proto", body).counts.accepted for body in server.bodies) == sent
    assert server.paths == {"/v1/metrics"}


@pytest.mark.parametrize(("refusals", "status"), [(1, 400), (99, 503)])
def test_a_receiver_that_refuses_is_told_of(receiver, refusals, status):
    simulation = small()
    server, url = receiver(refusals, status)
    first = simulation.plan.parameters.first

    with pytest.raises(ServiceError, match=f"status {status}"):
        send(stream(simulation, between=(first, first + 1)), url)
    assert server.bodies == []


def test_what_is_no_url_is_refused():
    with pytest.raises(UsageError):
        send(iter(()), "file:///etc/passwd")


def test_a_store_is_filled_with_everything():
    simulation = small()
    first = simulation.plan.parameters.first
    expected = sum(map(len, stream(simulation, between=(first, first + 240))))

    with Store.open(None) as store:
        assert fill(store, simulation, between=(first, first + 240)) == expected
        assert store.dirty_hours == 0


def test_the_truth_is_json_with_everything_that_happened():
    plan = small_plan()

    told = json.loads(json.dumps(truth(plan)))

    assert told["simulator_version"] == 1
    assert told["parameters"]["entities"] == 20
    assert len(told["benign"]) == len(plan.events)
    starts = [one["from_ns"] for one in told["benign"]]
    assert starts == sorted(starts)
    assert max(starts) < (plan.parameters.first + 2 * PER_DAY) * 30 * 10**9
    assert told["attacks"] == []
