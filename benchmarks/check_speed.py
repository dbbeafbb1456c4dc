"""How long does `tunebook check` take for many rows, and does its memory grow with them?

The rows are sentences of the sample reviews, put together anew: texts of some 300 characters that share sentences, a
few of them nearly equal. Each size is checked in a process of its own, with an empty cache.

    python benchmarks/check_speed.py --rows 100000 939575
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]


def write_rows(path: Path, count: int) -> Path:
    """So many texts with one of five labels."""
    sentences = []
    for file in sorted((ROOT / "recipes/review_sentiment/samples").glob("*.csv")):
        with file.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                sentences += [part for part in re.split(r"(?<=[.!?])\s+", row["text"]) if len(part) > 20]
    draw = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for _ in range(count):
            text = ""
            while len(text) < 260:
                text = f"{text} {draw.choice(sentences)}".strip()
            writer.writerow([text, draw.randrange(1, 6)])
    return path


def main() -> None:
    """Check, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    options = parser.parse_args()
    print(f"{'rows':>9} {'MiB':>6} {'CPU s':>7} {'rows/s':>7} {'memory of its own, MiB':>23}", flush=True)
    for count in options.rows:
        with tempfile.TemporaryDirectory() as scratch:
            rows = write_rows(Path(scratch) / "rows.csv", count)
            command = [sys.executable, "-m", "tunebook", "check", "recipe=review_sentiment", f"data.train={rows}"]
            command += ["data.label=label", f"data.cache_dir={scratch}/cache", "trainer.progress=false"]
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
            process = psutil.Popen(command, cwd=scratch, env=environment, stdout=subprocess.DEVNULL)
            seconds, own = 0.0, 0
            while process.poll() is None:
                try:
                    used, memory = process.cpu_times(), process.memory_info()
                except psutil.Error:
                    break
                seconds, own = used.user + used.system, max(own, memory.rss - memory.shared)
                time.sleep(0.05)
            if process.wait():
                raise SystemExit(f"check failed with exit code {process.returncode}")
            size = rows.stat().st_size >> 20
            print(f"{count:9} {size:6} {seconds:7.1f} {count / seconds:7.0f} {own >> 20:23}", flush=True)


if __name__ == "__main__":
    main()
