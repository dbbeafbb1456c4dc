"""What a run meets in its environment, looked at before rows are read: launchers, ports, services for its curves."""

from __future__ import annotations

import configparser
import errno
import netrc
import os
import socket
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from tunebook.config.schema import LoggerConfig, LoggerName, Strategy, TrainConfig, TrainerConfig
from tunebook.errors import UserError
from tunebook.training.ranks import started_by_torchrun

_COPIES = {
    "SLURM_STEP_NUM_TASKS": "srun",
    "OMPI_COMM_WORLD_SIZE": "mpirun",
    "PMI_SIZE": "mpirun",
    "WORLD_SIZE": "another launcher",
}
"""Variables with the number of copies of a command, and what starts them."""
_NUMBERS = {"SLURM_PROCID": "srun", "RANK": "another launcher", "LOCAL_RANK": "another launcher"}
"""Variables with the number of a copy, from 0."""
_PACKAGES = {LoggerName.tensorboard: "tensorboard", LoggerName.wandb: "wandb", LoggerName.mlflow: "mlflow"}


def check_surroundings(config: TrainConfig) -> None:
    """Refuse what would stop a run, or have it wait, once its rows are read.

    Raises:
        UserError: Several copies of the command run at once, ``MASTER_PORT`` is taken, or a logger cannot be used.
    """
    if not started_by_torchrun():
        check_copies(os.environ)
        check_port(config.trainer, os.environ)
    check_loggers(config.logger, os.environ)


def check_copies(environment: Mapping[str, str]) -> None:
    """Refuse to be one of several processes that each would do the whole run in the same folder.

    What a batch job was given (``SLURM_NTASKS``) says nothing of this process: it may be the only one.

    Raises:
        UserError: It is one of several.
    """
    sizes = [(name, by) for name, by in _COPIES.items() if _number(environment, name) > 1]
    numbers = [(name, by) for name, by in _NUMBERS.items() if _number(environment, name) > 0]
    for name, by in [*sizes, *numbers]:
        raise UserError(
            f"This command is one of several copies that {by} started, and each would do the whole run.",
            code="training.several-copies",
            where=f"{name}={environment[name]}",
            fix="start it once: trainer.devices=2 starts the processes of a run; on several machines, or in a job of "
            "SLURM: srun --ntasks-per-node=1 torchrun --nnodes=<machines> --nproc-per-node=<devices> -m tunebook ...",
        )


def _number(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else 0


def check_port(trainer: TrainerConfig, environment: Mapping[str, str]) -> None:
    """Refuse a ``MASTER_PORT`` at which the processes of a run cannot meet.

    Raises:
        UserError: It is no port, or another process listens there.
    """
    port = environment.get("MASTER_PORT")
    if port is None or (trainer.devices * trainer.num_nodes == 1 and trainer.strategy is Strategy.auto):
        return
    what = f"MASTER_PORT={port} is not the number of a port"
    if port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16:
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("", int(port)))
            return
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            what = f"MASTER_PORT={port} is taken" if taken else f"MASTER_PORT={port} cannot be used: {error.strerror}"
    raise UserError(
        f"{what}: the processes of this run cannot meet there.",
        code="training.port-in-use",
        where="MASTER_PORT",
        fix="unset MASTER_PORT, and a free one is chosen",
    )


def check_loggers(config: LoggerConfig, environment: Mapping[str, str]) -> None:
    """Refuse a logger without its package, and W&B where it would ask for a login.

    Raises:
        UserError: There is such a logger.
    """
    for name in config.names:
        if name in _PACKAGES and find_spec(_PACKAGES[name]) is None:
            raise missing_package(name)
    if LoggerName.wandb in config.names and not wandb_can_log(environment, Path.cwd()):
        raise UserError(
            "Weights & Biases has no login here.",
            code="package.no-login",
            where="logger.names",
            fix="wandb login, or set WANDB_API_KEY; WANDB_MODE=offline keeps the curves in the run folder",
        )


def missing_package(name: LoggerName) -> UserError:
    """The error for a logger whose package is not installed."""
    return UserError(
        f"The logger '{name.name}' needs a package that is not installed.",
        code="package.missing",
        where="logger.names",
        fix=f'pip install "tunebook[{name.name}]"',
    )


def wandb_can_log(environment: Mapping[str, str], folder: Path) -> bool:
    """Whether W&B is offline, or finds a key where it looks for one: variables, its settings, the user's netrc.

    Args:
        environment: The variables.
        folder: The current folder, whose ``wandb/settings`` counts.
    """
    home = Path(environment.get("HOME") or Path.home())
    found = _settings([home / ".config" / "wandb" / "settings", folder / "wandb" / "settings"])
    if environment.get("WANDB_MODE", found.get("mode", "online")) in ("offline", "disabled", "dryrun"):
        return True
    if environment.get("WANDB_API_KEY") or environment.get("WANDB_IDENTITY_TOKEN_FILE") or found.get("api_key"):
        return True
    address = environment.get("WANDB_BASE_URL") or found.get("base_url") or "https://api.wandb.ai"
    named = environment.get("NETRC")
    files = [Path(named).expanduser()] if named else [home / ".netrc", home / "_netrc"]
    return any(_has_login(file, urlsplit(address).hostname or "") for file in files)


def _settings(files: list[Path]) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(files, encoding="utf-8")
        return dict(parser.items("default")) if parser.has_section("default") else {}
    except (configparser.Error, ValueError):  # W&B says what is wrong with it
        return {}


def _has_login(file: Path, host: str) -> bool:
    try:
        return netrc.netrc(file).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError, ValueError):
        return False
