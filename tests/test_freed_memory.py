"""What tensors took goes back to the system once they are freed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# As in a training step: activations, freed in the way back, with small tensors between them that stay.
STEP = """
import sys
import psutil, torch
from tunebook.freed_memory import return_freed_memory
if sys.argv[1] == "returned":
    return_freed_memory()
del_me = torch.ones(7_000_000)  # 28 MB: glibc learns from freeing it
del del_me
before = psutil.Process().memory_info().rss
activations, small = [], []
for _ in range(100):
    activations.append(torch.ones(1_000_000))
    small.append(torch.ones(20_000))
held = psutil.Process().memory_info().rss - before
activations.clear()
print((psutil.Process().memory_info().rss - before) / held)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another library than glibc allocates memory here")
def test_freed_tensors_leave_the_process() -> None:
    share = {}
    for how in ("kept", "returned"):
        done = subprocess.run([sys.executable, "-c", STEP, how], capture_output=True, text=True, check=True)
        share[how] = float(done.stdout)
    assert share["returned"] < 0.1
    assert share["kept"] > 0.5, "glibc does by itself what the module is for: delete it"
