"""`tunebook chat`: talk with a tuned model in the terminal, or turn by turn through a pipe."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

from tunebook.bundle.manifest import find_bundle, read_manifest
from tunebook.cli.arguments import Arguments
from tunebook.errors import UserError

COMMANDS = """\
/new               clear the conversation
/system TEXT       clear the conversation and set this system prompt; without TEXT, none
/undo              remove the last question and its answer
/save FILE.jsonl   append the conversation to a file, in a form that training takes
/help              show these lines
/quit              leave; so does Ctrl-D
//...              send what follows the first slash
Ctrl-C             stops an answer; it and its question are removed
"""
_ACCELERATORS = ["auto", "cpu", "gpu", "mps"]


def _parser() -> Arguments:
    parser = Arguments(
        "chat",
        "tunebook chat <run or bundle>",
        description="Talk with the model of a bundle. In a pipe each line of standard input is one turn, whatever it\n"
        "begins with, and only the answers are written. Nothing is sent anywhere, and nothing is\n"
        "kept on disk unless you say so.",
        epilog="in the terminal:\n" + "".join(f"  {line}\n" for line in COMMANDS.splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="run folder or bundle folder")
    parser.add_argument("--system", metavar="TEXT", default="", help="system prompt (default: none)")
    parser.add_argument("--tools", metavar="FILE.json", help="list of tools in OpenAI's form that the model may call")
    parser.add_argument("--max-new-tokens", metavar="N", type=int, help="longest answer (default: as in training)")
    parser.add_argument(
        "--temperature",
        metavar="T",
        type=float,
        default=0.0,
        help="above 0: sample each token (default: 0, greedy)",
    )
    parser.add_argument(
        "--top-p", metavar="P", type=float, default=1.0, help="sample from the fewest tokens of this total probability"
    )
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="of the sampling (default: 0)")
    parser.add_argument("--accelerator", choices=_ACCELERATORS, default="auto", help="device")
    parser.add_argument("--save", metavar="FILE.jsonl", help="append every conversation to this file when it ends")
    parser.set_defaults(commands=COMMANDS)
    return parser


def chat_command(arguments: Sequence[str]) -> None:
    """Check what was asked for, and let the family of the bundle's recipe talk, if its models do."""
    options = _parser().read(arguments)
    _check_values(options)
    from tunebook.bundle.read import recipe_of  # numpy begins here: `--help` does without it

    folder = find_bundle(options.model)
    manifest = read_manifest(folder)
    recipe = recipe_of(manifest)
    recipe.family.inputs.check_chat(recipe, folder, manifest, options)
    recipe.family.stages.chat(recipe, folder, manifest, options)


def _check_values(options: argparse.Namespace) -> None:
    """Refuse what no model could take, before one is loaded."""
    longest, temperature, share = options.max_new_tokens, options.temperature, options.top_p
    wrong = {
        "--max-new-tokens": (longest is not None and longest < 1, longest, "is at least 1"),
        "--temperature": (not (math.isfinite(temperature) and temperature >= 0), temperature, "is 0 or above"),
        "--top-p": (not 0 < share <= 1, share, "is above 0 and at most 1"),
        "--seed": (options.seed < 0, options.seed, "is 0 or above"),
    }
    for name, (is_wrong, value, rule) in wrong.items():
        if is_wrong:
            raise UserError(
                f"{name} {rule}.",
                code="command.out-of-range",
                where=f"{name} {value}",
                fix="choose another value, or leave it out",
            )
    if share < 1 and not temperature:
        raise UserError(
            "--top-p has no effect without --temperature: nothing is sampled.",
            code="command.conflict",
            where=f"--top-p {share}",
            fix="--temperature 1 samples from the model's probabilities",
        )
