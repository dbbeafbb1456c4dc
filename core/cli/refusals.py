"""Errors as a person reads them, what an operating system refuses among them."""

from __future__ import annotations

import errno
import sys

from tunebook.errors import UserError
from tunebook.files import NO_HANDLE
from tunebook.plugins.failures import recipe_failure
from tunebook.terminal import drawn

_OUT_OF_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_WRITABLE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}


def as_user_error(error: BaseException, run_dir: str | None = None) -> UserError | None:
    """An error as a person is to read it: one already, a refused file, a recipe's own code; None for any other."""
    if isinstance(error, UserError):
        return error
    return refusal(error, run_dir) or _out_of_memory(error) or recipe_failure(error)


def report(error: BaseException, run_dir: str | None = None) -> int:
    """Print an error for a person; return the exit code. What is no user error is raised again."""
    known = as_user_error(error, run_dir)
    if known is None:
        raise error
    print(f"{known.kind}{drawn(known.message())}", file=sys.stderr)
    return known.exit_code


def _out_of_memory(error: BaseException) -> UserError | None:
    """Too little memory, of the machine or of a GPU, which torch says in words of its own."""
    said = " ".join(str(error).split())
    if not (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in said)
    ):
        return None
    return UserError(
        f"There is not enough memory: {said[:200] or 'Python could not get any more'}",
        code="system.out-of-memory",
        where="this machine" if type(error).__name__ != "OutOfMemoryError" else "the GPU",
        fix="use a smaller data.batch_size (with trainer.accumulate_grad_batches), a smaller model, or shorter inputs; "
        "an interrupted run resumes from its last checkpoint",
    )


def refusal(error: BaseException, run_dir: str | None = None) -> UserError | None:
    """The message for a full disk or a file that cannot be read or written; None for any other error."""
    refused = _refusal(error)
    return _explained(refused, run_dir) if refused else None


def _refusal(error: BaseException | None) -> OSError | None:
    """The operating system's refusal behind an error; torch hides a full disk behind an error of its own."""
    first, seen = error, set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and (error is first or _is_out_of_room(error) or error.errno in NO_HANDLE):
            return error
        seen.add(id(error))  # a library may have raised an error from itself
        error = error.__cause__ or error.__context__
    return None


def _is_out_of_room(error: OSError) -> bool:
    # numpy passes no number on: "14496 requested and 12468 written" is all it says of a full disk.
    return error.errno in _OUT_OF_ROOM or (error.errno is None and "requested and" in str(error))


def _explained(error: OSError, run_dir: str | None) -> UserError | None:
    """An operating system's refusal that the user can fix; None for any other."""
    where = str(error.filename) if error.filename else run_dir
    if _is_out_of_room(error):
        return UserError(
            f"There is no room left to write: {error.strerror or error}.",
            code="file.no-space",
            where=where,
            fix="free some space, or write elsewhere with run_dir=... (cached rows: data.cache_dir=...); "
            "what was written before is complete",
        )
    if error.errno in NO_HANDLE:
        return UserError(
            "Too many files are open at once for this system's limit.",
            code="system.too-many-files",
            where=where,
            fix="allow more with `ulimit -n 4096`, or use fewer data.num_workers",
        )
    if error.errno in _NOT_WRITABLE:
        return UserError(
            f"This cannot be read or written: {error.strerror}.",
            code="file.not-accessible",
            where=where,
            fix="check its permissions, or choose another folder with run_dir=...",
        )
    return None
