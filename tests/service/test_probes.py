from apart import run_apart
from ebbtide.service.probes import Probes


def asked(app, path: str, kind: str = "http") -> tuple[int, bytes]:
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    run_apart(app({"type": kind, "path": path}, receive, send))
    return sent[0]["status"], sent[1]["body"]


async def page(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def test_probes_answer_and_the_rest_goes_to_the_pages():
    app = Probes(lambda: True, lambda: b"m 1\n", page)

    assert asked(app, "/healthz")[0] == 200
    assert asked(app, "/readyz") == (200, b"ready\n")
    assert asked(app, "/metrics") == (200, b"m 1\n")
    assert asked(app, "/findings") == (200, b"/findings")


def test_a_service_whose_rounds_do_not_go_well_is_alive_and_not_ready():
    app = Probes(lambda: False, lambda: b"")

    assert asked(app, "/readyz")[0] == 503
    assert asked(app, "/healthz")[0] == 200
    assert asked(app, "/findings")[0] == 404


def test_what_stands_in_the_way_of_data_is_told_beside_ready():
    app = Probes(lambda: True, lambda: b"", trouble=lambda: "nothing that arrives can be stored")

    assert asked(app, "/readyz") == (200, b"ready; nothing that arrives can be stored\n")
