"""The verbs, and the function behind each: named here and imported when it is called, as torch may begin behind it."""

from __future__ import annotations

import importlib
from typing import Any

COMPOSING = {
    "check": "tunebook.cli.check:check_command",
    "train": "tunebook.cli.train:train_command",
    "compare": "tunebook.cli.compare:compare_command",
    "evaluate": "tunebook.cli.evaluate:evaluate_command",
}
"""What takes a config that Hydra composes, and the folder that it chose."""
PLAIN = {
    "list": "tunebook.cli.list:print_recipes",
    "show": "tunebook.cli.show:print_recipe",
    "predict": "tunebook.cli.predict:predict_command",
    "pick": "tunebook.cli.pick:pick_command",
    "chat": "tunebook.cli.chat:chat_command",
    "export": "tunebook.cli.export:export_command",
    "new": "tunebook.cli.new:new_command",
    "verify": "tunebook.cli.verify:verify_command",
}
"""What takes the arguments as they were typed."""
HIDDEN = {
    "_rung": "tunebook.cli.rung:start_rungs",
    "_member": "tunebook.cli.member:do_member",
    "_worker": "tunebook.cli.run_training:follow",
}
"""What Tunebook types itself, for processes of its own."""
VERBS = ("list", "show", *COMPOSING, "predict", "pick", "chat", "export", "new", "verify")


def named(place: str) -> Any:
    """The function that ``module:function`` names."""
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(module), function)
