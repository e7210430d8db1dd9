"""What a sender writes into its settings to send here: shown on the first page while nothing has arrived."""

from __future__ import annotations

from ebbtide.receive.settings import Kind, Listener, Receivers

_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - what is compared with, not listened on
_PIPELINE = """\
service:
  pipelines:
    metrics/ebbtide:
      receivers: [otlp]
      exporters: [{name}]
"""
_OTLP_HTTP = """\
exporters:
  otlphttp/ebbtide:
    endpoint: {scheme}://{where}
"""
_OTLP_GRPC = """\
exporters:
  otlp/ebbtide:
    endpoint: {where}
"""
_REMOTE_WRITE = """\
remote_write:
  - url: {scheme}://{where}/api/v1/write
"""
_HEC = """\
curl {scheme}://{where}/services/collector -H "Authorization: Splunk $EBBTIDE_TOKEN" --data-binary @events.json
"""
_BEARER = "authorization: Bearer ${env:EBBTIDE_TOKEN}"


def sender_settings(receivers: Receivers, host: str) -> str:
    """For the receiver that most senders speak: OTLP over HTTP, else over gRPC, remote write, HEC; "" without any.

    `host` stands in for an address that means all of this machine's.
    """
    listeners = dict(reversed(list(receivers.listeners())))
    for kind in ("otlp_http", "otlp_grpc", "remote_write", "hec"):
        if kind in listeners:
            return _settings(kind, listeners[kind], host)
    return ""


def _settings(kind: Kind, listener: Listener, host: str) -> str:
    name = host if listener.host in _WILDCARDS else listener.host
    where = f"[{name}]:{listener.port}" if ":" in name else f"{name}:{listener.port}"
    scheme = "http" if listener.tls is None else "https"
    if kind == "otlp_http":
        text = _OTLP_HTTP.format(scheme=scheme, where=where)
        text += f"    headers:\n      {_BEARER}\n" if listener.tokens else ""
        return text + _PIPELINE.format(name="otlphttp/ebbtide")
    if kind == "otlp_grpc":
        text = _OTLP_GRPC.format(where=where)
        text += "" if listener.tls else "    tls:\n      insecure: true\n"
        text += f"    headers:\n      {_BEARER}\n" if listener.tokens else ""
        return text + _PIPELINE.format(name="otlp/ebbtide")
    if kind == "remote_write":
        text = _REMOTE_WRITE.format(scheme=scheme, where=where)
        return text + ("    bearer_token_file: /etc/prometheus/ebbtide-token\n" if listener.tokens else "")
    return _HEC.format(scheme=scheme, where=where)
