"""What libraries work out once a process, worked out before `tests.forked` forks: grammars, plugins, patterns."""

from __future__ import annotations

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from matplotlib.font_manager import FontProperties, findfont
from omegaconf.grammar_parser import parse
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

from tunebook.composing.command import Command, register_schemas
from tunebook.plugins.find import find_recipes

OverridesParser.create().parse_overrides(["a.b=[1,x]", "+c=0.5", "d/e@f=g", "~h", 'i="j k"', "l={m:null,n:true}"])
parse("${a.b}/${c:${d}}", parser_rule="configValue", lexer_mode="DEFAULT_MODE")
Plugins.instance()
get_checkpoint_conversion_mapping("llama")
findfont(FontProperties(family=["sans-serif"]))


def compose_once() -> None:
    """Compose a config of each recipe as a command does: Tunebook's pages are read, the families' schemas made."""
    for name in find_recipes():
        command = Command.of("train", [f"recipe={name}"])
        register_schemas(command)
        with initialize_config_module("tunebook.conf", version_base="1.3"):
            compose("train", overrides=[*command.overrides])
    ConfigStore.instance().repo.pop("base_train.yaml")


compose_once()
