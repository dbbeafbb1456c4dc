"""The log of rows that are not used, and the point at which there are too many."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tunebook.data.personal import beginning, masked
from tunebook.data.unread import Unread
from tunebook.errors import UserError
from tunebook.files import write_atomically

EXCERPT = 120
"""Characters of a field that go into the log."""


@dataclass(frozen=True)
class Reject:
    """One row that is not used, as it stands in ``rejects.jsonl``."""

    file: str
    line: int
    field: str
    reason: str
    text: str


class RejectLog:
    """Collects the rows that are not used: kept + rejected + dropped = read.

    Attributes:
        path: The JSON Lines file that `write` makes.
        limit: Most rows that may be rejected (``data.max_rejects``).
        masking: Whether personal data in reasons and texts is replaced by its kind; names of files stay as they are.
        read: Rows read so far, good and bad.
        count: Rows rejected: they cannot be used as they are.
        dropped: Rows left out for being in another split too; these do not count towards the limit.
        unread: What the rows hold beside what is read of them.
        empty: Good rows without a value in a column that is written before their text, by column.
    """

    def __init__(self, path: Path, limit: int, masking: bool = True) -> None:
        self.path = path
        self.limit = limit
        self.masking = masking
        self.read = 0
        self.count = 0
        self.dropped = 0
        self.unread = Unread()
        self.empty: Counter[str] = Counter()
        self._entries: list[Reject] = []  # as they came, both kinds
        self._rejected: list[Reject] = []
        self._hints: dict[str, None] = {}

    def add(self, file: str, line: int, field: str, reason: str, text: str = "", hint: str = "") -> None:
        """Log a row that cannot be used; one call a row.

        Args:
            file: The source as messages name it.
            line: Line (or row number) in it.
            field: Column at fault, or "" for the row as a whole.
            reason: Completes "field 'x' ..." or "the row ...".
            text: What stands there; only its start is kept.
            hint: What may fix all rows of its kind, for the message of `check`.
        """
        self.count += 1
        entry = self._entry(file, line, field, reason, text)
        self._entries.append(entry)
        self._rejected.append(entry)
        if hint:
            self._hints[hint] = None

    def drop(self, file: str, line: int, field: str, reason: str, text: str = "") -> None:
        """Log a good row that is left out because of a leak."""
        self.dropped += 1
        self._entries.append(self._entry(file, line, field, f"dropped: {reason}", text))

    def _entry(self, file: str, line: int, field: str, reason: str, text: str) -> Reject:
        if self.masking:
            reason, text = masked(reason), beginning(text, EXCERPT)
        return Reject(file, line, field, reason, _excerpt(text))

    def write(self) -> None:
        """Write all entries to `path`, whole or not at all; with no entries there is no file."""
        if not self._entries:
            return
        lines = (json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in self._entries)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, lambda stream: stream.writelines(line.encode() for line in lines))
        except OSError as error:
            raise UserError(
                f"the rejected rows cannot be written: {error.strerror}",
                code="file.not-writable",
                where=str(self.path),
                fix="free some space there or choose another run_dir",
            ) from error

    def check(self) -> None:
        """Stop when more rows were rejected than `limit` allows.

        Raises:
            UserError: How many of how many, the first three with their place, and the fix.
        """
        if self.count <= self.limit:
            return
        shown = [_sentence(entry) for entry in self._rejected[:3]]
        if self.count > len(shown):
            shown.append(f"... and {self.count - len(shown)} more in {self.path}")
        else:
            shown.append(f"(listed in {self.path})")
        raise UserError(
            f"{self.count} of {self.read} rows cannot be used (data.max_rejects={self.limit})",
            code="data.rejected-rows",
            where="\n         ".join(shown),
            fix=self._fix(),
        )

    def _fix(self) -> str:
        hints = "".join(f"{hint}; " for hint in self._hints)
        if self.count >= self.read:
            return f"{hints}fix the rows: none of them can be used"
        return f"{hints}fix these rows, or leave them out: data.max_rejects={self.count}"


def _sentence(entry: Reject) -> str:
    subject = f"{entry.field!r}" if entry.field else "the row"
    return f"{entry.file}:{entry.line} {subject} {entry.reason}"


def _excerpt(text: str) -> str:
    """The start of a text, fit for UTF-8 whatever bytes it came from."""
    return text[:EXCERPT].encode("utf-8", "backslashreplace").decode("utf-8")


@contextmanager
def log_apart(verb: str) -> Iterator[Path]:
    """A place for the log where nothing else is written yet; it stays there if anything was rejected."""
    folder = Path(tempfile.mkdtemp(prefix=f"tunebook-{verb}-"))
    try:
        yield folder / "rejects.jsonl"
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()
