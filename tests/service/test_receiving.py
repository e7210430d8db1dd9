import pytest

from ebbtide.errors import ServiceError
from ebbtide.guard import Caps, Guard
from ebbtide.receive.settings import Receivers
from ebbtide.service.receiving import Receiving
from ebbtide.store.store import Store

LOCAL = Receivers.model_validate({"otlp_http": {"address": "127.0.0.1:0"}})


def test_ports_open_and_close_and_what_is_counted_is_told():
    with Store.open() as store:
        receiving = Receiving(store, LOCAL, Guard(Caps()))
        receiving.start()
        assert receiving.ports[0] > 0
        figures = receiving.figures()
        receiving.stop()

    assert figures.received == {}
    assert figures.capacity["queue_bytes"] == 0
    assert receiving.ports == []


def test_a_port_that_is_taken_leaves_nothing_open():
    with Store.open() as store:
        first = Receiving(store, LOCAL, Guard(Caps()))
        first.start()
        taken = Receivers.model_validate({"otlp_http": {"address": f"127.0.0.1:{first.ports[0]}"}})
        with pytest.raises(ServiceError, match="cannot listen"):
            Receiving(store, taken, Guard(Caps())).start()
        first.stop()
