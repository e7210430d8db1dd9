"""Regular expressions whose matching time is linear in the text, whatever the pattern: those of filters.

Patterns come from users and texts from whoever runs in the cluster; a backtracking matcher can be made to run for hours
by the two together, and a filter that hangs the evaluation is a way to hide. So a pattern becomes a set of states that
are walked all at once (Thompson 1968, Communications of the ACM 11(6)), as in the RE2 library that Alertmanager uses.
The language is what filters need: characters, `.`, classes, groups, `|`, `*`, `+`, `?`, `{m,n}` and the classes
`\\d \\w \\s`. A pattern always matches the whole text. Look-around, back-references and flags are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

#: Longer patterns are refused.
LONGEST_PATTERN = 512
#: States a pattern may need; `{m,n}` repeats its part, so `(a{99}){99}` would need 9801.
MOST_STATES = 500
_DEEPEST = 20
_SPECIAL = frozenset(".[]()|*+?{}^$\\")

Test: TypeAlias = Callable[[str], bool]
_CLASSES: dict[str, Test] = {
    "d": lambda char: char.isascii() and char.isdigit(),
    "w": lambda char: char.isascii() and (char.isalnum() or char == "_"),
    "s": lambda char: char in " \t\n\r\f\v",
}


class PatternError(ValueError):
    """A pattern that is refused; `position` (from 0) is where."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


@dataclass(slots=True)
class _State:
    """Either consumes a character that passes `test` and goes to `out[0]`, or (None) goes to all of `out` at once."""

    test: Test | None
    out: list[int]


#: The number of the state in which the pattern has matched.
_END = 0


class Pattern:
    """A compiled pattern. Raises PatternError for what is not in the language."""

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LONGEST_PATTERN:
            raise PatternError(f"the pattern is longer than {LONGEST_PATTERN} characters", LONGEST_PATTERN)
        self._states = [_State(None, [])]
        self._start = _Parser(text).parse()(self._states, _END)

    def matches(self, text: str) -> bool:
        """Whether the pattern matches all of the text; at most states x characters steps.

        >>> Pattern("curl|wget").matches("wget"), Pattern("curl|wget").matches("wget2")
        (True, False)
        """
        now = self._reach([self._start])
        for char in text:
            following = []
            for number in now:
                test = self._states[number].test
                if test is not None and test(char):
                    following.append(self._states[number].out[0])
            if not following:
                return False
            now = self._reach(following)
        return _END in now

    def _reach(self, numbers: list[int]) -> set[int]:
        """These states and all that are reached from them without a character."""
        reached: set[int] = set()
        while numbers:
            number = numbers.pop()
            if number not in reached:
                reached.add(number)
                if self._states[number].test is None:
                    numbers += self._states[number].out
        return reached


# The parser first builds a tree, so that `{m,n}` can lay out its part several times; `_Node` lays itself out in front
# of a state that is there already and gives back the number of its first state.
_Node: TypeAlias = "Callable[[list[_State], int], int]"


def _add(states: list[_State], test: Test | None, out: list[int]) -> int:
    if len(states) >= MOST_STATES:
        raise PatternError(f"the pattern needs more than {MOST_STATES} states; make the numbers in {{}} smaller", 0)
    states.append(_State(test, out))
    return len(states) - 1


def _one(test: Test) -> _Node:
    return lambda states, after: _add(states, test, [after])


def _nothing(states: list[_State], after: int) -> int:
    """Even nothing takes a state, so that repeating it is bounded too."""
    return _add(states, None, [after])


def _sequence(nodes: list[_Node]) -> _Node:
    if not nodes:
        return _nothing

    def lay(states: list[_State], after: int) -> int:
        for node in reversed(nodes):
            after = node(states, after)
        return after

    return lay


def _either(nodes: list[_Node]) -> _Node:
    if len(nodes) == 1:
        return nodes[0]
    return lambda states, after: _add(states, None, [node(states, after) for node in nodes])


def _repeat(node: _Node, least: int, most: int | None) -> _Node:
    if most == 0:
        return _nothing

    def lay(states: list[_State], after: int) -> int:
        if most is None:
            loop = _add(states, None, [after])
            states[loop].out.append(node(states, loop))
            after = loop
        else:
            end = after
            for _ in range(most - least):
                after = _add(states, None, [node(states, after), end])
        for _ in range(least):
            after = node(states, after)
        return after

    return lay


class _Parser:
    """Recursive descent over the pattern's text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def parse(self) -> _Node:
        """The whole pattern."""
        if self.text.startswith("^"):
            self.at = 1
        node = self._alternatives()
        if self.at < len(self.text):
            raise PatternError("`)` without `(`", self.at)
        return node

    def _peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def _take(self) -> str:
        if self.at >= len(self.text):
            raise PatternError("the pattern ends too early", self.at)
        self.at += 1
        return self.text[self.at - 1]

    def _alternatives(self) -> _Node:
        nodes = [self._parts()]
        while self._peek() == "|":
            self._take()
            nodes.append(self._parts())
        return _either(nodes)

    def _parts(self) -> _Node:
        nodes: list[_Node] = []
        while self._peek() not in ("", "|", ")"):
            if self._peek() == "$" and self.at == len(self.text) - 1:
                self._take()
                break
            nodes.append(self._part())
        return _sequence(nodes)

    def _part(self) -> _Node:
        node = self._atom()
        start = self.at
        match self._peek():
            case "*":
                bounds: tuple[int, int | None] = (0, None)
            case "+":
                bounds = (1, None)
            case "?":
                bounds = (0, 1)
            case "{":
                bounds = self._bounds()
            case _:
                return node
        self._take()
        if self._peek() in ("*", "+", "?", "{"):
            raise PatternError("two repetitions in a row", self.at)
        if bounds[1] is not None and bounds[1] < bounds[0]:
            raise PatternError("the bounds are the wrong way round", start)
        return _repeat(node, *bounds)

    def _bounds(self) -> tuple[int, int | None]:
        """The bounds of `{m}`, `{m,}` or `{m,n}`; the closing brace is left to be taken."""
        start, close = self.at, self.text.find("}", self.at)
        low, comma, high = self.text[start + 1 : close].partition(",")
        if close < 0 or not _is_number(low) or not (high == "" or _is_number(high)):
            raise PatternError("write {m}, {m,} or {m,n} with numbers up to 999, or \\{", start)
        self.at = close
        if not comma:
            return int(low), int(low)
        return int(low), int(high) if high else None

    def _atom(self) -> _Node:
        start, char = self.at, self._take()
        if char == "(":
            return self._group(start)
        if char == "[":
            return _one(self._class(start))
        if char == ".":
            return _one(lambda char: char != "\n")
        if char == "\\":
            return _one(self._escape())
        if char in _SPECIAL:
            raise PatternError(f"`{char}` has nothing to work on here; write \\{char} for the character", start)
        return _one(char.__eq__)

    def _group(self, start: int) -> _Node:
        if self._peek() == "?":
            if not self.text.startswith("?:", self.at):
                raise PatternError("look-around, flags and names are not supported; (?:...) is", start)
            self.at += 2
        self.depth += 1
        if self.depth > _DEEPEST:
            raise PatternError(f"more than {_DEEPEST} groups in one another", start)
        node = self._alternatives()
        if self._peek() != ")":
            raise PatternError("`(` without `)`", start)
        self._take()
        self.depth -= 1
        return node

    def _escape(self) -> Test:
        start, char = self.at - 1, self._take()
        if char.lower() in _CLASSES:
            inside = _CLASSES[char.lower()]
            return inside if char.islower() else lambda char: not inside(char)
        literal = {"n": "\n", "t": "\t", "r": "\r"}.get(char, char)
        if char.isalnum() and literal == char:
            raise PatternError(f"\\{char} is not supported", start)
        return literal.__eq__

    def _class(self, start: int) -> Test:
        """The inside of `[...]`, whose bracket has been taken."""
        is_negated = self._peek() == "^"
        self.at += is_negated
        tests: list[Test] = []
        while self._peek() != "]" or not tests:
            if self._peek() == "":
                raise PatternError("`[` without `]`", start)
            tests.append(self._class_item())
        self._take()
        return lambda char: any(test(char) for test in tests) != is_negated

    def _class_item(self) -> Test:
        low = self._take()
        if low == "\\":
            return self._escape()
        if self._peek() != "-" or self.text[self.at + 1 : self.at + 2] in ("", "]"):
            return low.__eq__
        self._take()
        high = self._take()
        if high == "\\" or high < low:
            raise PatternError("a range in [] goes from a lower to a higher plain character", self.at - 1)
        return lambda char: low <= char <= high


def _is_number(text: str) -> bool:
    return 0 < len(text) <= 3 and text.isascii() and text.isdigit()
