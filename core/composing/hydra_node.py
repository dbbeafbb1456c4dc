"""Hydra's own part of a config names no code but Hydra's: Hydra imports and calls what it finds there.

Callbacks, launchers, sweepers and handlers of logs are built from their names before anything of ours is asked. A page
in a folder of `--config-dir` may come from anyone, so that each of them must be one that an installed plugin of Hydra
offers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from tunebook.composing.endless import refuse_endless
from tunebook.errors import UserError

_OF_PLUGINS = ("hydra_plugins.", "hydra._internal.core_plugins.")
_OF_LOGS = ("logging.", "colorlog.")
_STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
_STEERING = ("PYTHON", "LD_", "DYLD_", "TUNEBOOK_RECIPES")
"""How variables begin that name code to run."""
_WRITING = ("train", "evaluate")
"""Commands whose folder is the one that Hydra makes."""
_RUN = "hydra.mode=RUN"
"""What Hydra adds to the overrides where neither they nor a page ask for a sweep."""


@contextmanager
def guarded(scratch: Path) -> Iterator[None]:
    """Have Hydra look at what it composes before it uses it.

    Args:
        scratch: A folder that is removed later, for what Hydra writes of a sweep of `check`, which leaves nothing.
    """
    name, before = "ConfigLoaderImpl", ConfigLoaderImpl
    setattr(hydra._internal.hydra, name, type("_Loader", (_GuardedLoader,), {"scratch": scratch}))
    try:
        yield
    finally:
        setattr(hydra._internal.hydra, name, before)


class _GuardedLoader(ConfigLoaderImpl):
    scratch: Path
    _kept: tuple[list[str], DictConfig | Exception] | None = None
    """The overrides of a run, and what they composed; taken by the run itself."""

    def load_configuration(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *rest: Any, **named: Any
    ) -> DictConfig:
        if run_mode == RunMode.MULTIRUN and not named.get("validate_sweep_overrides", True):
            return self._of_run_or_sweep(config_name, overrides)
        kept, self._kept = self._kept, None
        if kept is None or run_mode != RunMode.RUN or overrides != [*kept[0], _RUN]:
            return self._composed(config_name, overrides, run_mode, *rest, **named)
        if isinstance(kept[1], Exception):
            raise kept[1]
        kept[1].hydra.mode = RunMode.RUN
        kept[1].hydra.overrides.hydra.append(_RUN)
        return kept[1]

    def _of_run_or_sweep(self, config_name: str | None, overrides: list[str]) -> DictConfig:
        """What Hydra composes first, to read ``hydra.mode`` alone; a run goes on with it, and composes nothing anew.

        A sweep's may lack what the sweep chooses, and is composed as such where that of a run cannot be.
        """
        try:
            config = self._composed(config_name, overrides, RunMode.RUN)
        except Exception as error:
            self._kept = [*overrides], error
            if isinstance(error, UserError) or isinstance(error.__cause__, OmegaConfBaseException):
                raise  # a sweep's would fail alike: nothing is missing
            return self._composed(config_name, overrides, RunMode.MULTIRUN, validate_sweep_overrides=False)
        if config.hydra.mode is None:
            self._kept = [*overrides], config
        return config

    def _composed(self, config_name: str | None, overrides: list[str], *rest: Any, **named: Any) -> DictConfig:
        config: DictConfig = super().load_configuration(config_name, overrides, *rest, **named)
        refuse_code(config)
        refuse_endless(config, overrides)
        if config_name in _WRITING:
            refuse_other_folder(config, overrides)
            place_sweep(config, overrides)
        elif config_name == "check" and not _typed(overrides, "hydra.sweep.dir") and "hydra" in config:
            with open_dict(config):
                config.hydra.sweep.dir = str(self.scratch)
        return config


def refuse_code(config: DictConfig) -> None:
    """Refuse what would have Hydra import or call something of its page's choice.

    Raises:
        UserError: There is such a key.
    """
    if "hydra" not in config:
        return
    plain: Any = OmegaConf.to_container(config.hydra, resolve=False)
    for key in plain.get("callbacks") or {}:
        raise _refused(f"hydra.callbacks.{key}", "a callback of Hydra's")
    for name in (plain.get("job") or {}).get("env_set") or {}:
        if str(name).startswith(_STEERING):
            raise _refused(f"hydra.job.env_set.{name}", "a variable that names code")
    for key, value in _leaves("hydra", plain):
        last, logs = key.rpartition(".")[2], key.startswith(("hydra.job_logging.", "hydra.hydra_logging."))
        allowed = _OF_LOGS if logs else _OF_PLUGINS
        if last in ("_target_", "()", "_partial_", "_args_") or (logs and last in ("class", "factory")):
            if not str(value).startswith(allowed):
                raise _refused(key, f"{value}, which is of no installed plugin of Hydra's")
        elif logs and isinstance(value, str) and "://" in value and value not in _STREAMS:
            raise _refused(key, f"{value}, which is neither of {' and '.join(_STREAMS)}")


def refuse_other_folder(config: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse two names of one folder, of which the one that was typed for Tunebook would lose.

    Raises:
        UserError: ``run_dir`` was typed, and Hydra's own key says otherwise.
    """
    typed = _typed(overrides, "run_dir")
    if typed is None or "hydra" not in config:
        return
    node: Any = OmegaConf.to_container(config.hydra, resolve=False)
    other = (node.get("run") or {}).get("dir")
    if other != "${run_dir}":
        raise UserError(
            f"The run's folder has two names: {typed}, and hydra.run.dir={other}.",
            code="config.conflict",
            where="hydra.run.dir",
            fix="leave hydra.run.dir out",
        )


def place_sweep(config: DictConfig, overrides: Sequence[str]) -> None:
    """Put the runs of a sweep into numbered folders below the ``run_dir`` that was typed.

    Raises:
        UserError: ``hydra.sweep.dir`` was typed too.
    """
    typed, other = _typed(overrides, "run_dir"), _typed(overrides, "hydra.sweep.dir")
    if typed is None or "hydra" not in config:
        return
    if other is not None:
        raise UserError(
            f"The folder of the sweep has two names: {typed}, and {other}.",
            code="config.conflict",
            where="hydra.sweep.dir",
            fix="leave one of them out",
        )
    with open_dict(config):
        config.hydra.sweep.dir = "${run_dir}"


def _typed(overrides: Sequence[str], key: str) -> str | None:
    return next((each for each in overrides if each.startswith(f"{key}=")), None)


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(f"{key}[{number}]", inner)
    else:
        yield key, value


def _refused(key: str, what: str) -> UserError:
    return UserError(
        f"A config cannot name code to run: {key} is {what}.",
        code="config.names-code",
        where=key,
        fix="leave it out; callbacks of training are named in trainer.callbacks",
    )
