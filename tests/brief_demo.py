"""`ebbtide demo` with half of the servers, over the last hours, with two of the attacks.

`test_demo.py` judges all servers on all days, and `make faults` runs the whole command.

Only what the command asks of its processes is less: the processes are the real ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import ebbtide.cli.demo
import ebbtide.demo
import ebbtide.demo_attacks
import ebbtide.recording
from ebbtide.series import HOUR_NS

#: Hours judged, the last ones of the labelled days; 0 for all of them.
HOURS = int(os.environ.get("EBBTIDE_DEMO_HOURS", "36"))


def shorten(patch: Callable[[object, str, object], None] = setattr) -> None:
    """Make the command of this process do less; its processes do what it tells them."""
    if not HOURS:
        return
    last = ebbtide.demo.labelled_span()[1]
    machines = ("machine-2-1", "machine-3-3")
    attacks = tuple(one for one in ebbtide.demo_attacks.ATTACKS if one.machine in machines and one.minutes == 30)
    incidents = tuple(one for one in ebbtide.recording.incidents() if one.machine in machines)
    patch(ebbtide.recording, "machines", lambda: machines)
    patch(ebbtide.recording, "incidents", lambda: incidents)
    for module in (ebbtide.demo, ebbtide.cli.demo):
        patch(module, "labelled_span", lambda: (last - HOURS * HOUR_NS, last))
    for module in (ebbtide.demo_attacks, ebbtide.cli.demo):
        patch(module, "ATTACKS", attacks)
