"""What the family of recipes that write from briefs does for them: as for all that write, but for its rows."""

from __future__ import annotations

from tunebook.families.text_generation.stages import GenerationStages


class BriefStages(GenerationStages):
    """A brief in, copy out; a causal language model, or one with an encoder and a decoder."""
