from ebbtide.store.store import Store


def test_a_finding_is_kept_once_in_its_last_version():
    with Store.open() as store:
        store.documents.save_finding("ab1", "d", 5, 6, "old")
        store.documents.save_finding("cd2", "d", 1, 2, "earlier")
        store.documents.save_finding("ab1", "d", 5, 9, "new")

        assert store.documents.findings() == ["earlier", "new"]
        assert store.documents.find("ab") == ["new"]
        assert store.documents.find("x") == []


def test_a_prefix_is_no_pattern():
    with Store.open() as store:
        store.documents.save_finding("ab1", "d", 5, 6, "one")

        assert store.documents.find("%") == []
        assert store.documents.find("") == ["one"]


def test_filters_by_name():
    with Store.open() as store:
        store.documents.save_filter("b", "1")
        store.documents.save_filter("a", "2")
        store.documents.save_filter("b", "3")

        assert store.documents.filters() == [("a", "2"), ("b", "3")]
        assert store.documents.remove_filter("a")
        assert not store.documents.remove_filter("a")
