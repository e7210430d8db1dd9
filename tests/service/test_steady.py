from dataclasses import dataclass

import pytest

from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from ebbtide.service.steady import SteadyClock


@dataclass
class Machine:
    """A machine whose clock can be set."""

    time_ns: int = 100 * DAY_NS
    running_ns: int = 0

    def go_on(self, by_ns: int) -> None:
        self.time_ns += by_ns
        self.running_ns += by_ns


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def clock(machine) -> SteadyClock:
    return SteadyClock(lambda: machine.time_ns, lambda: machine.running_ns)


def test_small_steps_are_followed_at_once(machine, clock):
    for step_ns in (30 * SECOND_NS, -30 * SECOND_NS, MINUTE_NS):
        machine.go_on(HOUR_NS)
        machine.time_ns += step_ns

        assert clock() == machine.time_ns
        assert clock.step_s == 0


@pytest.mark.parametrize("step_ns", [DAY_NS, -DAY_NS])
def test_a_jump_that_the_data_speak_against_is_not_followed_and_told(machine, clock, step_ns):
    right_ns = machine.time_ns
    machine.time_ns += step_ns
    for _ in range(50):
        machine.go_on(10 * MINUTE_NS)
        right_ns += 10 * MINUTE_NS
        clock.witness(right_ns - 20 * SECOND_NS)

        assert clock() == right_ns
        assert clock.step_s == step_ns / SECOND_NS
    machine.time_ns -= step_ns

    assert clock() == right_ns
    assert clock.step_s == 0


def test_a_jump_that_the_data_bear_out_is_followed_at_once(machine, clock):
    machine.time_ns += 8 * HOUR_NS  # the machine slept
    clock.witness(machine.time_ns - 7 * HOUR_NS)  # a queue that waited speaks for neither

    assert clock() == machine.time_ns - 8 * HOUR_NS
    clock.witness(machine.time_ns - 20 * SECOND_NS)
    assert clock() == machine.time_ns


def test_a_jump_of_which_no_data_tell_is_followed_after_an_hour(machine, clock):
    machine.time_ns += DAY_NS
    assert clock() == machine.time_ns - DAY_NS
    machine.go_on(HOUR_NS)

    assert clock() == machine.time_ns
