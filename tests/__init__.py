"""What holds for all tests, set before any of them imports torch."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# With a thread a core in each of several processes, threads wait for each other, and burn time meanwhile.
os.environ.setdefault("OMP_NUM_THREADS", "1")
