"""Time and peak memory of each recipe's run on its sample rows, with nothing else given.

python benchmarks/first_runs.py [--work FOLDER]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tunebook.plugins import find_recipes

TURNS = 3


def measured(name: str, folder: Path) -> tuple[float, float, float]:
    """Seconds on the clock, CPU seconds, and peak resident memory in MiB of one run."""
    command = [sys.executable, "-m", "tunebook", "train", f"recipe={name}", f"run_dir='{folder}'"]
    environment = {**os.environ, "TUNEBOOK_CACHE": str(folder.parent / "cache")}
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"This failed: {' '.join(command)}")
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--work", type=Path, help="folder for the runs (default: a temporary one)")
    arguments = parser.parse_args()
    print("| recipe | seconds | CPU seconds | peak memory, MiB |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        for name, found in find_recipes().items():
            if not found.distribution.startswith("tunebook "):
                continue
            turns = [measured(name, work / f"{name}_{turn}") for turn in range(TURNS)]
            seconds, cpu, memory = (statistics.median(column) for column in zip(*turns, strict=True))
            print(f"| {name} | {seconds:.0f} | {cpu:.0f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
