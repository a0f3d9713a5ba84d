"""What has become of the target by now: whoever ends a run, be it a failure or a signal, says so truly.

Invariant: a COMMIT is in doubt from the moment it is sent until its outcome is known; what is in doubt is never said to
be as before.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import AsyncIterator, Iterable, Iterator

from etl.counted_nouns import some
from etl.errors import EtlError, UnknownOutcomeError

AS_BEFORE = "the target is as before"


class Standing:
    """Which tables (or other things, as the target names them) were committed, and which nobody knows of."""

    def __init__(self) -> None:
        self.committed: list[str] = []
        self._in_doubt: list[str] = []

    @contextlib.contextmanager
    def deciding(self, names: Iterable[str]) -> Iterator[None]:
        """Around a COMMIT that shows these: it took effect where the block ends well, not where it raises EtlError.

        They stay in doubt where it raises UnknownOutcomeError, or is abandoned.
        """
        names = list(names)
        self._in_doubt += names
        try:
            yield
        except UnknownOutcomeError:
            raise
        except EtlError:
            self._take_out(names)
            raise
        self._take_out(names)
        self.committed += names

    def _take_out(self, names: list[str]) -> None:
        self._in_doubt = [name for name in self._in_doubt if name not in names]

    def words(self) -> str:
        """One clause, for the last line of a run that did not come to its end."""
        parts = []
        if self._in_doubt:
            doubt = f"nobody knows whether the COMMIT of {some(self._in_doubt)} took effect"
            parts.append(f"{doubt}: `etl verify SOURCE TARGET` tells")
        if self.committed:
            parts.append(f"committed before, and there to stay: {some(self.committed)}")
        if parts:
            parts.append("all else is as before")
        return "; ".join(parts) or AS_BEFORE

    @contextlib.asynccontextmanager
    async def told(self, *, keeps: bool) -> AsyncIterator[None]:
        """Around a run: an error that ends it says what is not as before; and how the next one ``keeps`` it."""
        try:
            yield
        except EtlError as error:
            if self.committed or (self._in_doubt and not isinstance(error, UnknownOutcomeError)):
                error.message += f"; {self.words()}"
            if self.committed and not self._in_doubt and keeps:
                kept = " ".join(f"--keep {shlex.quote(escaped(name))}" for name in self.committed)
                error.hint = f"{error.hint or 'run the command again'}; then with {kept}"
            raise


def escaped(name: str) -> str:
    """As a glob that means this name alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
