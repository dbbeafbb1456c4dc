"""`tunebook compare`: what tuning buys on these rows, beside everything that is cheaper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from tunebook.compare.check import check_ladder
from tunebook.compare.models import configs_of_models
from tunebook.compare.step import with_method
from tunebook.config.compare import CompareConfig
from tunebook.pipeline.prepare import check_sources, typed
from tunebook.run_folder import remove_empty
from tunebook.training.surroundings import check_surroundings


def compare_command(config: Any, output_dir: str) -> None:
    """Plan a ladder, do the runs that are not finished, and report what the test rows show."""
    remove_empty(Path(output_dir))  # Hydra's; the comparison's own folder has its key for a name
    made = typed(config)
    assert isinstance(made, CompareConfig)
    check_surroundings(made)
    check_ladder(made)
    given = HydraConfig.get().overrides
    models = configs_of_models(made, [str(override) for override in (*given.hydra, *given.task)])
    for each in models.values():
        check_sources(with_method(each, each.adapt.method))
    from tunebook.cli.run_comparison import compare  # torch begins here: a wrong ladder or path is answered without it

    compare(models)
