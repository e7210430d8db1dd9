"""A list of findings as its address says it: every choice is in the URL, so back, reload and a sent link all work.

Parameters: `state`, `cluster`, `namespace`, `detection`, `verdict` (each may stand several times), `entity`,
`incident`, `from`, `to` (RFC 3339), `q` (matchers, or plain words), `sort`, `group`, `after` (where the page begins).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, get_args
from urllib.parse import quote, unquote, urlencode

from ebbtide.errors import EbbtideError, UsageError
from ebbtide.finding.filters import Matcher, parse_matchers
from ebbtide.finding.text import parse_rfc3339
from ebbtide.finding.verdict import Verdict
from ebbtide.series import Entity
from ebbtide.store.search import Order, Place, Search, State

if TYPE_CHECKING:  # without the packages of the service, commands over a file still read what pages read
    from starlette.datastructures import QueryParams

T = TypeVar("T", bound=str)
Row = TypeVar("Row")
#: What stands in a cursor: where a row is in the order of its list.
Key: TypeAlias = tuple[int | str, ...]
Grouping: TypeAlias = Literal["entity", "incident", "none"]

#: Longer searches are refused, longer lists of choices cut.
MOST_WORDS = 10
MOST_CHOICES = 50
_MULTIPLE = ("cluster", "namespace", "detection", "verdict")
_SINGLE = ("state", "q", "entity", "incident", "from", "to", "sort", "group", "after")
_ANYTHING = 'uid=~".*.+"'


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What the address asks for. `error` says what of it could not be read; the search is then without it."""

    search: Search
    group: Grouping
    after: Place | None
    skip: int
    params: Mapping[str, tuple[str, ...]]
    error: EbbtideError | None = None

    @property
    def text(self) -> str:
        """What stands in the search field."""
        return next(iter(self.params.get("q", ())), "")

    def href(self, **changes: str | Iterable[str] | None) -> str:
        """The address with some parameters changed; None takes one away. A change begins at the first page again."""
        params = {name: values for name, values in self.params.items() if name != "after"}
        for name, value in changes.items():
            params[name] = () if value is None else (value,) if isinstance(value, str) else tuple(value)
        pairs = [(name, one) for name, values in params.items() for one in values]
        return "?" + urlencode(pairs) if pairs else "?"

    def toggled(self, name: str, value: str) -> str:
        """The address with one value of a facet chosen, or no more."""
        values = self.params.get(name, ())
        kept = [one for one in values if one != value] if value in values else [*values, value]
        return self.href(**{name: kept})


def read_query(params: QueryParams) -> ListQuery:
    """The list that an address asks for. What cannot be read becomes `error`, and the rest still counts."""
    given = {name: tuple(params.getlist(name)[:MOST_CHOICES]) for name in _MULTIPLE}
    given |= {name: (params[name],) for name in _SINGLE if params.get(name)}
    given = {name: values for name, values in given.items() if values}
    error: EbbtideError | None = None
    words: tuple[str, ...] = ()
    matchers: tuple[Matcher, ...] = ()
    times: dict[str, int | None] = {"from": None, "to": None}
    after: Place | None = None
    skip = 0
    try:
        words, matchers = parse_search(params.get("q", ""))
        times = {name: parse_instant(params[name]) if params.get(name) else None for name in times}
        skip, after = parse_cursor(params.get("after", ""))
    except EbbtideError as mistake:
        error = mistake
    group: Grouping = _among(params.get("group", "entity"), Grouping, "entity")
    search = Search(
        state=_among(params.get("state", "undecided"), State, "undecided"),
        clusters=given.get("cluster", ()),
        namespaces=given.get("namespace", ()),
        detections=given.get("detection", ()),
        verdicts=tuple(Verdict(one) for one in given.get("verdict", ()) if one in Verdict.__members__.values()),
        entity=parse_entity(params["entity"]) if params.get("entity") else None,
        risk_object=params.get("incident") or None,
        from_ns=times["from"],
        to_ns=times["to"],
        words=words,
        matchers=matchers,
        order=_among(params.get("sort", "risk"), Order, "risk"),
    )
    if search.document_matchers:  # groups are made by columns alone
        group = "none"
    return ListQuery(search, group, after, skip, given, error)


def _among(text: str, choices: object, default: T) -> T:
    found: T = text if text in get_args(choices) else default  # type: ignore[assignment] # one of the literal's values
    return found


def parse_search(text: str) -> tuple[tuple[str, ...], tuple[Matcher, ...]]:
    """Plain words, or matchers as filters have them (negative ones alone too: a search hides nothing).

    >>> parse_search("nginx shop")[0]
    ('nginx', 'shop')
    >>> [str(one) for one in parse_search('{process!="nginx"}')[1]]
    ['process!="nginx"']
    """
    text = text.strip()
    if not re.search(r'[=~]\s*"|^\{', text):
        return tuple(text.split()[:MOST_WORDS]), ()
    inner = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    found = parse_matchers(f"{inner.rstrip().rstrip(',')},{_ANYTHING}" if inner.strip() else _ANYTHING, where="search")
    return (), found[:-1]


def parse_instant(text: str) -> int:
    """Nanoseconds of RFC 3339 in UTC, seconds optional. Raises UsageError.

    >>> parse_instant("2024-01-10T12:00Z") == parse_instant("2024-01-10T12:00:00Z")
    True
    """
    whole = re.sub(r"(T\d\d:\d\d)Z?$", r"\1:00Z", text.strip())
    try:
        return parse_rfc3339(whole)
    except (ValueError, OverflowError):
        raise UsageError(f"{text[:40]!r} is not a time", hint="write 2024-01-10T12:00:00Z") from None


def cursor_of(place: Place | None, skip: int = 0) -> str | None:
    """A place as text for an address; None at the end of a list."""
    if place is None and not skip:
        return None
    content = [skip] if place is None else [skip, place.first, place.second, place.uid]
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def parse_cursor(text: str) -> tuple[int, Place | None]:
    """The place that `cursor_of` wrote. Raises UsageError for anything else."""
    if not text:
        return 0, None
    try:
        content = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        skip, *place = content
        if not isinstance(skip, int) or not 0 <= skip <= 1_000_000:
            raise ValueError("not a number of groups")
        if not place:
            return skip, None
        first, second, uid = place
        return skip, Place(_number(first), _number(second), str(uid))
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError("the page's cursor is not one of ours", hint="begin at the first page") from error


def _number(value: object) -> float:
    """A number as it was: whole ones (nanoseconds) keep every digit."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) >= 2**63:
        raise ValueError("not a number")
    return value


def page_after(rows: Sequence[Row], key: Callable[[Row], Key], after: str, limit: int) -> tuple[list[Row], str | None]:
    """The rows behind a cursor, which are in the order of their keys, and the next page's cursor.

    Rows that come or go meanwhile do not move the others. Raises UsageError for a cursor that is not one of ours.
    """
    if after:
        try:
            place = tuple(json.loads(base64.urlsafe_b64decode(after + "=" * (-len(after) % 4))))
            rows = [one for one in rows if key(one) > place]
        except (ValueError, TypeError, RecursionError) as error:
            raise UsageError("the page's cursor is not one of ours", hint="begin at the first page") from error
    page = list(rows[:limit])
    if len(rows) <= limit:
        return page, None
    return page, base64.urlsafe_b64encode(json.dumps(key(page[-1])).encode()).decode().rstrip("=")


def name_key(one: Entity) -> Key:
    """What a list of entities by name is in the order of."""
    return one.cluster, one.namespace, one.workload, one.process


def entity_path(entity: Entity) -> str:
    """An entity as one text: `cluster/namespace/workload/process`, a missing part `-`, a slash in a name `%2F`.

    >>> entity_path(Entity("prod", "", "a/b", "nginx"))
    'prod/-/a%2Fb/nginx'
    """
    parts = (entity.cluster, entity.namespace, entity.workload, entity.process)
    return "/".join(
        one.replace("%", "%25").replace("/", "%2F").replace(".", "%2E") if _is_odd(one) else one or "-" for one in parts
    )


def _is_odd(name: str) -> bool:
    """Whether a name would be read as something else: as a path, or as no name at all."""
    return "/" in name or "%" in name or (name != "" and name.strip(".") == "")


def parse_entity(text: str) -> Entity:
    """The entity that `entity_path` wrote; parts that are missing at the end are absent."""
    parts = [unquote(part) if part != "-" else "" for part in text.split("/")[:4]]
    return Entity(*(parts + [""] * (4 - len(parts))))


def entity_href(entity: Entity) -> str:
    """Where the page of an entity is."""
    return "/entities/" + quote(entity_path(entity), safe="/")
