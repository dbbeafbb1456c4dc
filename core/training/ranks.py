"""Several processes, one run: how the ranks of a distributed run agree on the run folder.

Rank 0 composes the config and makes the run folder. The others read ``config.yaml`` from it: those that
Lightning starts are given the folder on their command line, those that torchrun starts ask rank 0 for it
through the key-value store that torchrun keeps.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tunebook.children import SAFE_PATH

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

_MEETING = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")
"""Variables that Lightning sets for the processes of one run; the next run in this process has its own."""


def rank() -> int:
    """This process among all of the run; 0 when there is only one."""
    return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)


def started_by_torchrun() -> bool:
    """Whether torchrun started this process and its siblings."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def follows_another_rank() -> bool:
    """Whether another process composes this run's config."""
    return started_by_torchrun() and rank() > 0


def _store() -> TCPStore:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(address, port, is_master=False, timeout=timedelta(minutes=10))


def _key() -> str:
    return f"tunebook/run_dir/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"


def announce(run_dir: str) -> None:
    """Tell the other ranks where the run is; does nothing unless torchrun started them."""
    if started_by_torchrun():
        _store().set(_key(), run_dir)


def announced_run() -> str:
    """The run folder of rank 0, once it has announced it."""
    return str(_store().get(_key()).decode())


@contextmanager
def workers_join(run_dir: str) -> Iterator[None]:
    """Have Lightning start its further processes as ``tunebook _worker <run_dir>``.

    Lightning repeats ``sys.argv``, or asks Hydra how to repeat a job; under ``-m`` either would start the
    whole sweep once more in every process.
    """
    from hydra.core.hydra_config import HydraConfig

    before = {name: os.environ.get(name) for name in (*SAFE_PATH, *_MEETING)}
    os.environ.update(SAFE_PATH)
    arguments, hydra_config = sys.argv, HydraConfig.instance().cfg
    sys.argv = [str(Path(__file__).parents[1] / "__main__.py"), "_worker", run_dir]
    HydraConfig.instance().cfg = None
    try:
        yield
    finally:
        sys.argv = arguments
        HydraConfig.instance().cfg = hydra_config
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
