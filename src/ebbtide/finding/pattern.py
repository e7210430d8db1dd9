"""Regular expressions whose matching time is linear in the text, whatever the pattern: those of filters.

Patterns come from users and texts from whoever runs in the cluster; a backtracking matcher can be made to run for hours
by the two together, and a filter that hangs the evaluation is a way to hide. RE2 cannot be, and it is the language of
the matchers that Prometheus and Alertmanager have. A pattern always matches the whole text.
"""

from __future__ import annotations

import re2

#: Longer patterns are refused.
LONGEST_PATTERN = 512
#: What a compiled pattern may need; `(a{99}){99}` would need more.
MOST_BYTES = 1 << 20


class PatternError(ValueError):
    """A pattern that is refused, and why."""


class Pattern:
    """A compiled pattern. Raises PatternError for what RE2 does not take, or what would be too large."""

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LONGEST_PATTERN:
            raise PatternError(f"the pattern is longer than {LONGEST_PATTERN} characters")
        options = re2.Options()
        options.log_errors = False
        options.max_mem = MOST_BYTES
        options.dot_nl = True
        try:
            self._compiled = re2.compile(text.encode("utf-8", "replace"), options)
        except re2.error as error:
            reason = error.args[0] if error.args else error
            raise PatternError(
                reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
            ) from None

    def matches(self, text: str) -> bool:
        """Whether the pattern matches all of the text.

        >>> Pattern("curl|wget").matches("wget"), Pattern("curl|wget").matches("wget2")
        (True, False)
        """
        return self._compiled.fullmatch(text.encode("utf-8", "replace")) is not None
