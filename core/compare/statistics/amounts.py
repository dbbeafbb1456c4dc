"""Times, counts and sizes as a person says them."""

from __future__ import annotations


def show_time(seconds: float) -> str:
    """Write seconds, with two digits at least: `0.4 s`, `24 s`, `6.7 min`, `1.5 h`."""
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def show_count(number: int) -> str:
    """Write a count: `960`, `111.6 k`, `2.4 M`."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def show_bytes(size: int) -> str:
    """Write a size of files: `9.2 MiB`."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << power:
            return f"{size / (1 << power):.1f} {unit}"
    return f"{size} B"
