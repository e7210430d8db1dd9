"""The JSON API under /api/v1, for operators: findings as documents, and a copy of the store while it is in use."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Final

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from ebbtide.errors import ServiceError, UsageError
from ebbtide.finding.form import to_object
from ebbtide.store.store import Store
from ebbtide.web.access import ApiAdmin, ApiReader, TheSite
from ebbtide.web.refusal import REFUSALS
from ebbtide.web.views import TheView

router = APIRouter(prefix="/api/v1", responses=REFUSALS)

_CURSOR: Final = re.compile(r"(\d{1,19})\.([0-9A-Za-z_-]{1,64})")
_PART_BYTES: Final = 1 << 20
#: One copy at a time: each takes as much room as the store.
_COPYING: Final = threading.Lock()


class DocumentList(BaseModel):
    """Findings in full, as files and sinks have them, oldest first. `next` is the next page's cursor."""

    documents: list[dict[str, object]]
    next: str | None


@router.get("/documents", tags=["findings"])
def list_documents(
    view: TheView,
    _: ApiReader,
    after: Annotated[str, Query(max_length=90, description="The cursor `next` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> DocumentList:
    """Every finding in full, hidden ones included, a page at a time."""
    place = _CURSOR.fullmatch(after)
    if after and place is None:
        raise UsageError("the cursor is not one of ours", hint="take `next` of the page before as it is")
    found = view.findings.page((int(place[1]), place[2]) if place else None, limit)
    last = found[-1].finding if len(found) == limit else None
    return DocumentList(
        documents=[to_object(one.finding) for one in found],
        next=None if last is None else f"{last.opened_ns}.{last.uid}",
    )


@router.post(
    "/backup",
    tags=["health"],
    response_class=StreamingResponse,
    responses={200: {"content": {"application/vnd.duckdb": {"schema": {"type": "string", "format": "binary"}}}}},
)
def post_backup(site: TheSite, _: ApiAdmin) -> StreamingResponse:
    """A copy of the store as of now, consistent, while it is in use; its length is told, so a cut one is noticed."""
    if not _COPYING.acquire(blocking=False):
        raise ServiceError("a backup is being made already", hint="try again once it is done")
    try:
        copy = _copied(site.store)
    finally:
        _COPYING.release()
    length = os.fstat(copy.fileno()).st_size
    return StreamingResponse(_parts(copy), headers={"Content-Length": str(length)}, media_type="application/vnd.duckdb")


def _copied(store: Store) -> BinaryIO:
    """An open copy without a name: nothing is left behind, however its reader ends."""
    beside = None if store.path is None else store.path.absolute().parent
    with tempfile.TemporaryDirectory(prefix="ebbtide-backup-", dir=beside) as directory:
        path = Path(directory) / "copy.duckdb"
        store.backup(path)
        return path.open("rb")


def _parts(copy: BinaryIO) -> Iterator[bytes]:
    with copy:
        while part := copy.read(_PART_BYTES):
            yield part
