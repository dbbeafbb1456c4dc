"""The Modelfile that Ollama makes a model of a GGUF file by."""

from __future__ import annotations

from tunebook import __version__
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.gguf.go_template import Inexpressible, go_template
from tunebook.families.text_generation.model.generation import Generation

NAME = "Modelfile"


def modelfile(
    template: ChatTemplate, chosen: Generation, context: int, recipe: str, file: str, found: str
) -> tuple[str, str]:
    """A Modelfile with the bundle's own settings.

    Args:
        template: The bundle's.
        chosen: How it chooses tokens.
        context: Tokens that a prompt and its answer may have together.
        recipe: The bundle's recipe, as a name for the model.
        file: Name of the GGUF file, in the same folder.
        found: What was found when it was compared with the bundle.

    Returns:
        The Modelfile, and what it lacks, in words; "" where it lacks nothing.
    """
    described, lacks = _template(template)
    lines = [
        f"# {recipe}, written by tunebook export (Tunebook {__version__}): {found}.",
        f"#   ollama create {recipe} -f {NAME}",
        f"FROM {_quoted(f'./{file}')}",
        *described,
        f"PARAMETER stop {_quoted(template.end_of_turn, always=True)}",
        f"PARAMETER num_ctx {context}",
        f"PARAMETER num_predict {chosen.max_new_tokens}",
        "PARAMETER repeat_penalty 1",
    ]
    if chosen.do_sample:
        lines += [f"PARAMETER temperature {chosen.temperature:g}", f"PARAMETER top_p {chosen.top_p:g}"]
        lines.append("PARAMETER top_k 0")
    else:
        lines.append("PARAMETER temperature 0")
    if chosen.num_beams > 1:
        lines.append(f"# The bundle follows {chosen.num_beams} beams, which Ollama cannot: its answers may be others.")
    return "\n".join(lines) + "\n", lacks


def _template(template: ChatTemplate) -> tuple[list[str], str]:
    """The lines of the template, and what is lacking."""
    try:
        text = go_template(template)
    except Inexpressible as reason:
        why = " ".join(str(reason).split())
        return [
            "# No TEMPLATE: no form of the chat template in Go is known to be right. Ollama guesses one, so check its",
            "# prompts; llama-server renders the chat template itself, which is in the GGUF file. The reason:",
            f"# {why}",
        ], f"the {NAME} has no TEMPLATE, as no form of the chat template for Ollama is known to be right: {why}"
    lines = [
        "# Renders trial conversations as the model's own chat template does; it shows the model no tools.",
        f'TEMPLATE """{text}"""',
    ]
    if template.no_system:
        lines.append("# System prompts are left out: the model's own template takes none.")
    return lines, ""


def _quoted(value: str, always: bool = False) -> str:
    """A value of a line; Modelfiles know no escapes, and a longer quote for what has one in it."""
    if '"' in value:
        return f'"""{value}"""'
    return f'"{value}"' if always or " " in value else value
