"""OTLP metrics and Prometheus write requests on the wire, declared no deeper than needed.

A descriptor of our own, compatible with opentelemetry-proto `metrics/v1/metrics.proto` (same field numbers), in which
what repeats from request to request stays bytes: resources, scopes, metrics, data points, attributes. The C parser
then only cuts; bytes seen before are looked up, not parsed. Text is declared as bytes, so that a label that is not
UTF-8 cannot fail the whole request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES: Final = {
    "bytes": _Field.TYPE_BYTES,
    "bool": _Field.TYPE_BOOL,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "uint32": _Field.TYPE_UINT32,
    "double": _Field.TYPE_DOUBLE,
    "fixed64": _Field.TYPE_FIXED64,
    "sfixed64": _Field.TYPE_SFIXED64,
}
_PACKAGE: Final = "ebbtide.wire"

#: message -> "number name type", `*` for repeated, `?` for a member of the message's oneof.
_MESSAGES: Final = {
    "Request": ("1 resource_metrics *ResourceMetrics",),
    "ResourceMetrics": ("1 resource bytes", "2 scope_metrics *ScopeMetrics"),
    "ScopeMetrics": ("1 scope bytes", "2 metrics *bytes"),
    "Metric": (
        "1 name bytes",
        "5 gauge Numbers",
        "7 sum Numbers",
        "9 histogram Others",
        "10 exponential_histogram Others",
        "11 summary Others",
    ),
    "Numbers": ("1 data_points *bytes", "2 aggregation_temporality int32", "3 is_monotonic bool"),
    "Others": ("1 data_points *bytes",),
    "Point": (
        "2 start_time_unix_nano fixed64",
        "3 time_unix_nano fixed64",
        "4 as_double ?double",
        "6 as_int ?sfixed64",
        "7 attributes *bytes",
        "8 flags uint32",
    ),
    "Resource": ("1 attributes *bytes",),
    "Scope": ("1 name bytes", "2 version bytes", "3 attributes *bytes"),
    "KeyValue": ("1 key bytes", "2 value Value"),
    "Value": (
        "1 string_value ?bytes",
        "2 bool_value ?bool",
        "3 int_value ?int64",
        "4 double_value ?double",
        "5 array_value ?Array",
        "6 kvlist_value ?Pairs",
        "7 bytes_value ?bytes",
    ),
    "Array": ("1 values *Value",),
    "Pairs": ("1 values *KeyValue",),
    # prometheus/prometheus prompb/remote.proto, types.proto. The value is a double; its bits tell a staleness marker.
    "WriteRequest": ("1 timeseries *TimeSeries",),
    "TimeSeries": ("1 labels *bytes", "2 samples *Sample", "4 histograms *bytes"),
    "Label": ("1 name bytes", "2 value bytes"),
    "Sample": ("1 value fixed64", "2 timestamp int64"),
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="ebbtide/wire.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for line in fields:
            number, field_name, kind = line.split()
            field = message.field.add(name=field_name, number=int(number))
            field.label = _Field.LABEL_REPEATED if kind.startswith("*") else _Field.LABEL_OPTIONAL
            if kind.startswith("?"):
                if not message.oneof_decl:
                    message.oneof_decl.add(name="one")
                field.oneof_index = 0
            kind = kind.lstrip("*?")
            if kind in _TYPES:
                field.type = _TYPES[kind]
            else:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    return file


def _classes() -> dict[str, type[Message]]:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


MESSAGES: Final = _classes()
if TYPE_CHECKING:
    # The classes are made above at run time; their fields are the table's.
    Request: Any
    Metric: Any
    Point: Any
    Resource: Any
    Scope: Any
    KeyValue: Any
    WriteRequest: Any
    Label: Any
else:
    Request = MESSAGES["Request"]
    Metric = MESSAGES["Metric"]
    Point = MESSAGES["Point"]
    Resource = MESSAGES["Resource"]
    Scope = MESSAGES["Scope"]
    KeyValue = MESSAGES["KeyValue"]
    WriteRequest = MESSAGES["WriteRequest"]
    Label = MESSAGES["Label"]
