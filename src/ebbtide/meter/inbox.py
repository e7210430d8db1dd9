"""What the thread that hears the kernel's news does with them: look at processes at once, keep DNS answers for later.

A process may be gone in a millisecond, so /proc is read while the news is handled. A DNS answer can wait for the end of
the interval; a flood of them is bounded and what did not fit is counted.
"""

from __future__ import annotations

from collections import deque

from ebbtide.meter.dns import NameCache
from ebbtide.meter.flow import DnsNews, ProcessNews
from ebbtide.meter.process import ProcessTable


class Inbox:
    """`hear` is called from the listening thread, the rest from the meter's."""

    def __init__(self, processes: ProcessTable, names: NameCache, *, limit: int = 5000) -> None:
        self._processes = processes
        self._names = names
        self._limit = limit
        self._answers: deque[DnsNews] = deque()
        self._dropped = 0

    def hear(self, news: ProcessNews | DnsNews) -> None:
        """Take one piece of news; never raises, never waits."""
        if isinstance(news, ProcessNews):
            self._processes.learn(news.tgid, news.name)
        elif len(self._answers) < self._limit:
            self._answers.append(news)
        else:
            self._dropped += 1

    def empty(self, now_s: float) -> None:
        """Read the answers that came since the last call."""
        for _ in range(len(self._answers)):
            news = self._answers.popleft()
            self._names.hear(news.cgroup, news.message, now_s)

    def take_dropped(self) -> int:
        """Answers that did not fit since the last call."""
        dropped, self._dropped = self._dropped, 0
        return dropped
