"""A receiver to be killed from outside: receiver.py FILE HTTP_PORT GRPC_PORT. Says "ready" once both ports are open."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from ebbtide.receive.intake import Intake
from ebbtide.receive.serving import serve
from ebbtide.receive.settings import Receivers
from ebbtide.store.store import Store


def main(path: Path, http_port: str, grpc_port: str) -> None:
    with Store.open(path) as store:
        intake = Intake(store)
        intake.start()
        listeners = {
            "otlp_http": {"address": f"127.0.0.1:{http_port}"},
            "otlp_grpc": {"address": f"127.0.0.1:{grpc_port}"},
        }
        serve(intake, Receivers.model_validate(listeners))
        print("ready", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
