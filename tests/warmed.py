"""What libraries work out once a process, worked out before `tests.forked` forks: grammars, plugins, patterns."""

from __future__ import annotations

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from matplotlib.font_manager import FontProperties, findfont
from omegaconf.grammar_parser import parse
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

OverridesParser.create().parse_overrides(["a.b=[1,x]", "+c=0.5", "d/e@f=g", "~h", 'i="j k"', "l={m:null,n:true}"])
parse("${a.b}/${c:${d}}", parser_rule="configValue", lexer_mode="DEFAULT_MODE")
Plugins.instance()
get_checkpoint_conversion_mapping("llama")
findfont(FontProperties(family=["sans-serif"]))
