"""Views of the store for requests: each is used by one request at a time, and used again.

Making a view waits for whoever writes, so a request takes one that is there. A view is dropped once the store's names
were read back: its numbers may mean others now.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

from fastapi import Depends, Request

from ebbtide.store.store import Store
from ebbtide.store.view import View

#: Views that are kept for later; more requests at once make their own.
MOST_IDLE = 8


class Views:
    """A pool of views of one store; safe to use from several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._idle: queue.LifoQueue[tuple[int, View]] = queue.LifoQueue(MOST_IDLE)

    @contextmanager
    def borrow(self) -> Iterator[View]:
        """A view for the time of the block."""
        generation, view = self._take()
        try:
            yield view
        except BaseException:  # whatever failed may have left the connection in the middle of something
            view.close()
            raise
        self._give(generation, view)

    def close(self) -> None:
        """Close all views that nobody uses."""
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait()[1].close()

    def _take(self) -> tuple[int, View]:
        with suppress(queue.Empty):
            while True:
                generation, view = self._idle.get_nowait()
                if generation == self._store.generation:
                    return generation, view
                view.close()
        return self._store.generation, self._store.view()

    def _give(self, generation: int, view: View) -> None:
        try:
            self._idle.put_nowait((generation, view))
        except queue.Full:
            view.close()


def view_of(request: Request) -> Iterator[View]:
    """A view for the time of a request."""
    views: Views = request.app.state.views
    with views.borrow() as view:
        yield view


TheView = Annotated[View, Depends(view_of)]
