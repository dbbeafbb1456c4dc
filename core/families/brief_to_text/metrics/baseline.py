"""Copy without a model: a brief's fields read out, and the copy of the most similar training brief."""

from __future__ import annotations

from tunebook.families.brief_to_text.metrics.measures import Fields


def fill_template(brief: Fields) -> str:
    """Read a brief out, a sentence a field: `Name: The Vaults. Features: warm, dry.`; empty fields are left out."""
    sentences = []
    for name, value in brief.items():
        values = [each.strip() for each in ([value] if isinstance(value, str) else value) if each.strip()]
        if values:
            sentences.append(f"{name[:1].upper()}{name[1:]}: {', '.join(values)}".rstrip(".") + ".")
    return " ".join(sentences)
