"""CPU time of the verbs that should answer at once, over that of `python -c "import hydra"`.

python benchmarks/startup.py

Each command runs in a process of its own, in turn with `import hydra`; the figure is the median of the ratios.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile

TURNS = 7
REFERENCE = [sys.executable, "-c", "import hydra"]
TUNEBOOK = [sys.executable, "-m", "tunebook"]
COMMANDS = {
    "tunebook list": [*TUNEBOOK, "list"],
    "tunebook --help": [*TUNEBOOK, "--help"],
    "tunebook train with a misspelt key": [
        *TUNEBOOK,
        "train",
        "recipe=review_sentiment",
        "optim.lrr=1",
    ],
}


def cpu_seconds(command: list[str], folder: str) -> float:
    """User and system time of one process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    print("| command | CPU s | times `import hydra` |\n|---|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for command in (REFERENCE, *COMMANDS.values()):  # once for the disk cache and the .pyc files
            cpu_seconds(command, folder)
        for name, command in COMMANDS.items():
            turns = [(cpu_seconds(command, folder), cpu_seconds(REFERENCE, folder)) for _ in range(TURNS)]
            seconds = statistics.median(ours for ours, _ in turns)
            ratio = statistics.median(ours / hydra for ours, hydra in turns)
            print(f"| {name} | {seconds:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
