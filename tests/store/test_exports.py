from build import NGINX, Point, batch_of
from ebbtide.store.store import Store


def test_tables_have_names_in_place_of_numbers():
    with Store.open() as store:
        store.append(batch_of([Point(3700, 5, to="api.example.com")]), store.begin("import", "test"))
        store.roll_up()
        [hours], [edges], [samples] = ([*store.export(name)] for name in ("hours", "edges", "samples"))

    hour = hours.to_pylist()[0]
    assert (hour["workload"], hour["metric"], hour["sent"]) == (NGINX.workload, "tcp.bytes", 5)
    assert hour["hour"].isoformat() == "1970-01-01T01:00:00"
    assert edges.to_pylist()[0]["peer_workload"] == "api.example.com"
    assert samples.to_pylist()[0] | {"end": None} == {
        "end": None, "span_s": 10.0, "metric": "tcp.bytes", "cluster": "prod", "namespace": "shop",
        "workload": "checkout", "process": "nginx", "dest_cluster": "", "dest_namespace": "",
        "dest_workload": "api.example.com", "dest_process": "", "dest_class": "external", "value": 5.0,
    }  # fmt: skip


def test_an_empty_store_exports_an_empty_table():
    with Store.open() as store:
        for name in ("entities", "hours", "days", "edges", "samples"):
            [table] = store.export(name)
            assert len(table) == 0
            assert "workload" in table.column_names
