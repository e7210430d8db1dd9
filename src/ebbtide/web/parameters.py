"""Parameters that several routes of the API take."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

After = Annotated[str, Query(max_length=16_000, description="The cursor `next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=500)]
#: For lists of entities, of which each page reads everything.
LongLimit = Annotated[int, Query(ge=1, le=5_000)]
