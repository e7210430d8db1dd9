import dataclasses

from finding_samples import NGINX, NOON_NS, find, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.finding.filters import Filter, apply, parse_matchers
from ebbtide.finding.finding import Finding
from ebbtide.finding.lifecycle import Change, Episode, Step, advance
from ebbtide.series import HOUR_NS, MINUTE_NS, Entity


def seen(start_h: float, buckets: int = 8, entity: Entity = NGINX) -> Finding:
    """A finding whose first bucket starts this many hours after noon."""
    start_ns = NOON_NS + round(start_h * HOUR_NS)
    [finding] = find({"tcp.bytes": [1e6] * buckets}, [[1e3] * 400], entity=entity, start_ns=start_ns)
    return finding


def at(hours: float) -> int:
    return NOON_NS + round(hours * HOUR_NS)


def told(step: Step) -> list[Change]:
    return [change for change, _ in step.changes]


def test_a_finding_opens_once_however_often_it_is_found() -> None:
    first = advance([], [seen(0)], at(1))
    again = advance(first.episodes, [seen(0)], at(1.1))
    slid = advance(again.episodes, [seen(1 / 60, 6)], at(1.2))
    assert [told(step) for step in (first, again, slid)] == [[Change.OPENED], [], []]
    assert slid.episodes == first.episodes


def test_later_buckets_update_it_under_the_uid_it_was_opened_with() -> None:
    first = advance([], [seen(0)], at(1))
    later = advance(first.episodes, [seen(0.5, 20)], at(2))
    [(change, episode)] = later.changes
    assert change is Change.UPDATED
    assert (episode.finding.uid, episode.finding.opened_ns) == (seen(0).uid, seen(0).opened_ns)
    assert (episode.finding.last_ns, episode.peak_count) == (seen(0.5, 20).last_ns, 20)


def test_it_closes_six_hours_after_its_last_bucket() -> None:
    first = advance([], [seen(0)], at(1))
    end_ns = seen(0).end_ns + 6 * HOUR_NS
    assert told(advance(first.episodes, [], end_ns - 1)) == []
    closed = advance(first.episodes, [], end_ns)
    assert told(closed) == [Change.CLOSED]
    assert closed.episodes[0].closed_ns == end_ns
    assert told(advance(closed.episodes, [], end_ns + MINUTE_NS)) == []


def test_it_reopens_within_six_hours_more_with_the_same_uid() -> None:
    closed = advance(advance([], [seen(0)], at(1)).episodes, [], at(7))
    back = advance(closed.episodes, [seen(11.9)], at(12.9))
    assert told(back) == [Change.REOPENED]
    assert (back.episodes[0].finding.uid, back.episodes[0].reopened) == (seen(0).uid, 1)
    assert back.episodes[0].closed_ns is None
    assert told(advance(back.episodes, [seen(11.9)], at(13))) == []


def test_after_that_it_is_another_finding() -> None:
    closed = advance(advance([], [seen(0)], at(1)).episodes, [], at(7))
    new = advance(closed.episodes, [seen(12.1)], at(13.1))
    assert told(new) == [Change.OPENED]
    assert new.changes[0][1].finding.uid == seen(12.1).uid != seen(0).uid
    assert [told(advance(new.episodes, [one], at(13.2))) for one in (seen(0), seen(12.1))] == [[], []]


def test_a_tick_that_comes_late_closes_and_reopens_what_one_in_time_would_have() -> None:
    first = advance([], [seen(0)], at(1))
    late = advance(first.episodes, [seen(8)], at(9))
    assert told(late) == [Change.CLOSED, Change.REOPENED]
    in_time = advance(advance(first.episodes, [], at(7)).episodes, [seen(8)], at(9))
    assert late.episodes == in_time.episodes


def test_a_finding_long_over_opens_and_closes_at_once() -> None:
    step = advance([], [seen(0)], at(20))
    assert told(step) == [Change.OPENED, Change.CLOSED]


def test_late_data_before_an_open_episode_change_no_uid() -> None:
    first = advance([], [seen(0)], at(1))
    near = advance(first.episodes, [dataclasses.replace(seen(-2), is_late=True)], at(1.5))
    assert (told(near), near.episodes) == ([], first.episodes)
    far = advance(first.episodes, [seen(-20)], at(1.5))
    assert told(far) == [Change.OPENED, Change.CLOSED]
    assert told(advance(far.episodes, [seen(-20)], at(1.6))) == []
    assert told(advance(far.episodes, [seen(0.5)], at(1.6))) == [Change.UPDATED]


def test_entities_and_versions_have_their_own_episodes() -> None:
    other = seen(0, entity=Entity("prod", "shop", "cart", "redis"))
    major = dataclasses.replace(seen(0), detection_version="2.0.0", uid="other")
    minor = dataclasses.replace(seen(0.1), detection_version="1.4.0")
    assert told(advance([], [seen(0), other, major, minor], at(1))).count(Change.OPENED) == 3


def test_what_ended_long_ago_is_forgotten() -> None:
    first = advance([], [seen(0)], at(1))
    assert len(advance(first.episodes, [], at(36)).episodes) == 1
    assert advance(first.episodes, [], at(37)).episodes == ()


def test_a_gap_inside_a_long_window_never_gives_two_episodes_one_uid() -> None:
    first = advance([], [seen(0, 6)], at(1))
    [gapped] = find({"tcp.bytes": [1e6] * 6 + [0] * 1700 + [1e6] * 6}, [[1e3] * 400], start_ns=NOON_NS)
    assert gapped.uid == first.episodes[0].finding.uid
    step = advance(first.episodes, [gapped], at(15))
    assert len({one.finding.uid for one in step.episodes}) == len(step.episodes) == 1
    assert told(step) == [Change.CLOSED, Change.REOPENED]


def test_an_update_keeps_its_marks_so_that_a_filter_counts_once() -> None:
    quiet = Filter("f", parse_matchers('{namespace="shop"}'), "ops", "", NOON_NS)
    [opened] = advance([], [seen(0)], at(1)).episodes
    hidden = apply([quiet], [opened.finding], at(1))
    step = advance([dataclasses.replace(opened, finding=hidden.findings[0])], [seen(0.5)], at(2))
    [(_, updated)] = step.changes
    assert updated.finding.hidden_by == ("f",)
    assert apply(hidden.filters, [updated.finding], at(2)).filters[0].hits == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6, unique=True), st.sets(st.integers(1, 60), max_size=10))
def test_episodes_do_not_depend_on_extra_ticks(hours: list[int], extra: set[int]) -> None:
    def run(ticks: set[int]) -> list[tuple[Change, str, int]]:
        episodes: tuple[Episode, ...] = ()
        log = []
        for tick in sorted({hour + 1 for hour in hours} | ticks | {60}):
            step = advance(episodes, [seen(tick - 1)] if tick - 1 in hours else [], at(tick))
            episodes = step.episodes
            log += [(change, episode.finding.uid, episode.finding.last_ns) for change, episode in step.changes]
        return log

    assert run(set()) == run(extra)


def test_a_sample_finding_makes_an_episode_key() -> None:
    [episode] = advance([], [sample()], at(0)).episodes
    assert (episode.key.major, episode.key.entity) == (1, NGINX)
    assert episode.finding == sample()


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-24, 0)), min_size=1, max_size=14))
def test_whatever_comes_each_uid_tells_a_sane_story(ticks: list[tuple[int, int]]) -> None:
    # Each tick is some hours after the one before and brings a finding that may be up to a day late.
    allowed = {
        None: {Change.OPENED},
        Change.OPENED: {Change.UPDATED, Change.CLOSED},
        Change.UPDATED: {Change.UPDATED, Change.CLOSED},
        Change.REOPENED: {Change.UPDATED, Change.CLOSED},
        Change.CLOSED: {Change.REOPENED},
    }
    last: dict[str, Change | None] = {}
    episodes: tuple[Episode, ...] = ()
    now = 1
    for step_h, late_h in ticks:
        now += step_h
        step = advance(episodes, [seen(now - 1 + late_h)], at(now))
        episodes = step.episodes
        for change, episode in step.changes:
            assert change in allowed[last.get(episode.finding.uid)]
            assert (episode.closed_ns is not None) == (change is Change.CLOSED)
            last[episode.finding.uid] = change
        assert len({one.finding.uid for one in episodes}) == len(episodes)


def test_late_data_after_the_end_reopen_what_was_closed() -> None:
    closed = advance(advance([], [seen(0)], at(1)).episodes, [], at(7))
    late = advance(closed.episodes, [dataclasses.replace(seen(3), is_late=True)], at(7.5))
    assert told(late) == [Change.REOPENED]
    assert told(advance(late.episodes, [], at(9.2))) == [Change.CLOSED]
