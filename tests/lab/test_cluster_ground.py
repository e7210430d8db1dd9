"""The ground is the same, read from a store or made from the plan."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from ebbtide.errors import NoDataError
from ebbtide.lab.cluster_ground import ground_of_simulation, ground_of_store
from ebbtide.series import DAY_NS, MINUTE_NS
from ebbtide.store.store import Store
from simulated import small, small_store


@pytest.fixture(scope="module")
def grounds(tmp_path_factory):
    path = shutil.copy(small_store(tmp_path_factory), tmp_path_factory.mktemp("ground") / "stored.duckdb")
    with Store.open(Path(path)) as store:
        return ground_of_store(store), ground_of_simulation(small())


def test_both_ways_give_the_same_minutes(grounds):
    stored, made = grounds

    assert stored.interval_s == made.interval_s == 30
    assert stored.start_ns == made.start_ns
    for entity in stored.entities:
        row, own = stored.entities.index(entity), made.entities.index(entity)
        assert np.array_equal(stored.sent[row], made.sent[own], equal_nan=True), entity


def test_both_ways_know_whom_an_entity_sends_to(grounds):
    stored, made = grounds
    for entity in stored.entities:
        assert stored.contacts.get(entity, frozenset()) <= made.contacts[entity]


def test_who_only_migrated_is_silent_since(grounds):
    stored, _ = grounds
    end_ns = stored.start_ns + 2 * DAY_NS

    assert "flyway" in {entity.process for entity in stored.silent(end_ns)}
    assert not set(stored.silent(end_ns)) & set(stored.active(end_ns))


def test_both_ways_know_in_which_hours_an_entity_spoke(grounds):
    stored, made = grounds
    for entity in stored.entities:
        row, own = stored.entities.index(entity), made.entities.index(entity)
        assert np.array_equal(stored.spoke[row], made.spoke[own]), entity


def test_who_sends_by_udp_alone_or_never_sent_is_not_silent(grounds):
    stored, _ = grounds
    end_ns = stored.start_ns + 2 * DAY_NS
    resolver = next(entity for entity in stored.entities if entity.process == "coredns")
    assert not np.nan_to_num(stored.sent[stored.entities.index(resolver)])[-1440:].any()
    never = dataclasses.replace(stored, spoke=np.zeros_like(stored.spoke))

    assert resolver not in stored.silent(end_ns)
    assert never.silent(end_ns) == ()


def test_minutes_outside_of_what_is_known_are_not_known(grounds):
    stored, _ = grounds
    entity = stored.entities[0]

    minutes = stored.minutes(entity, stored.start_ns - 3 * MINUTE_NS, stored.start_ns + 2 * MINUTE_NS)

    assert np.isnan(minutes[:3]).all()
    assert np.array_equal(minutes[3:], stored.sent[0, :2])


def test_an_empty_store_is_no_ground():
    with Store.open(None) as store, pytest.raises(NoDataError):
        ground_of_store(store)
