"""What a report and a model card say about a run, whatever its family."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from tunebook.models.source import licence
from tunebook.run_folder import RunFolder
from tunebook.training.parameter_groups import count_parameters
from tunebook.training.run_log import read_history

if TYPE_CHECKING:
    from tunebook.families.prepared import Prepared
    from tunebook.training.fit import Fitted


def learning_curve(run: RunFolder) -> list[dict[str, float]]:
    """The logged rows under the names that the picture shows: losses and validation, not what callbacks log."""
    rows = read_history(run.logs)
    shown = [
        {k: v for k, v in row.items() if k in ("step", "epoch", "train/loss") or "validation/" in k} for row in rows
    ]
    return [{k.replace("train/loss", "train loss").replace("/", " "): v for k, v in row.items()} for row in shown]


def card_facts(prepared: Prepared[Any]) -> dict[str, str]:
    """`data_facts` for a bundle, where neither the folders of this machine nor columns that were not read belong."""
    facts = {k: v for k, v in data_facts(prepared).items() if k not in prepared.data.unread}
    return {k: _without_folders(v) if k == "source" else v for k, v in facts.items()}


def _without_folders(source: str) -> str:
    """Paths by their last part: the folders of this machine do not belong in a bundle."""
    parts = [Path(p).name if Path(p).is_absolute() else p for p in source.split(", ")]
    return ", ".join(parts)


def training_facts(prepared: Prepared[Any], fitted: Fitted | None) -> dict[str, str]:
    """Backbone, adaptation and numbers of the training, for the model card."""
    config = prepared.config
    revision = f" at {prepared.source.revision}" if prepared.source.revision else ""
    facts = {
        "backbone": _without_folders(prepared.source.name) + revision + licence(prepared.source),
        "adaptation": config.adapt.method.name,
        "seed": str(config.seed),
    }
    if fitted is not None and fitted.solved:
        facts["final layer"] = fitted.solved
    if fitted is not None and fitted.steps:
        facts |= {
            "optimizer steps": f"{fitted.steps}, weights of step {fitted.best_step or fitted.steps}",
            "optimizer": config.optim.name,
            "learning rate": f"{config.optim.lr:g}, {config.optim.schedule}",
            "batch size": f"{config.data.batch_size} x {config.trainer.accumulate_grad_batches}",
        }
    return facts


def config_facts(config: Any) -> dict[str, str]:
    """Every config key with its value, flat."""

    def flat(node: Any, prefix: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, value in node.items():
            if isinstance(value, dict) and value:
                found |= flat(value, f"{prefix}{key}.")
            else:
                found[f"{prefix}{key}"] = "null" if value is None else str(value)
        return found

    plain = OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)
    assert isinstance(plain, dict)
    return flat(plain, "")


def finished_record(record: Mapping[str, Any], model: Any, fitted: Fitted | None) -> dict[str, Any]:
    """The record of a run with what is known once it is trained: sizes and steps."""
    trained, total = count_parameters(model)
    return {
        **record,
        "total_parameters": total,
        "trained_parameters": record.get("trained_parameters", trained),
        "best_step": (fitted.best_step or fitted.steps) if fitted else None,
        "steps": fitted.steps if fitted else 0,
    }


def data_facts(prepared: Prepared[Any]) -> dict[str, str]:
    """What was read and what became of it."""
    checked = prepared.data
    # What is too long for the model is only seen when it is encoded.
    late = sum(len(getattr(checked, name)) - len(rows) for name, rows in prepared.encoded.rows.items())
    facts = {
        "source": checked.source,
        "rows read": f"{checked.read}",
        "kept": f"{checked.kept - late}",
        "rejected": f"{checked.rejected + late}",
        "dropped as leaks": f"{checked.dropped}",
    }
    if checked.unused:
        facts["not drawn (data.shots, data.max_rows)"] = f"{checked.unused}"
    personal = checked.personal.facts() if checked.personal is not None else {}
    return {**facts, **checked.unread, **personal, **prepared.encoded.facts}
