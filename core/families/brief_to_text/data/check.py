"""What makes copy unusable: it is empty, repeats its brief, or does not keep to what the brief asks."""

from __future__ import annotations

from collections.abc import Sequence

from tunebook.data.grams import WORD, normalise
from tunebook.families.brief_to_text.data.brief import Brief, UnusableBrief, flat_text, to_plain, values
from tunebook.families.brief_to_text.metrics.phrases import says


def faults(brief: Brief, copy: str) -> list[str]:
    """What a copy breaks of what its brief asks; each completes "the copy ...". Words are found as `says` does."""
    found = [f"lacks {phrase!r}, which it must mention" for phrase in brief.must_mention if not says(copy, phrase)]
    found += [f"holds {phrase!r}, which it must avoid" for phrase in brief.must_avoid if says(copy, phrase)]
    characters, words = len(copy), len(copy.split())
    if brief.max_characters is not None and characters > brief.max_characters:
        found.append(f"has {characters} characters (at most {brief.max_characters} are allowed)")
    if brief.max_words is not None and words > brief.max_words:
        found.append(f"has {words} words (at most {brief.max_words} are allowed)")
    return found


def check_copies(brief: Brief, copies: Sequence[str], source: str = "") -> None:
    """Say what keeps the copies of a brief from being learned from; one bad copy makes the row bad.

    Args:
        brief: The brief.
        copies: What was written from it.
        source: The brief as it stands in the file, where one column holds it whole.

    Raises:
        UnusableBrief: A copy repeats the brief, whatever its case, spaces and punctuation; or has `faults`.
    """
    bare = Brief(brief.fields)
    shown = (to_plain(brief), to_plain(bare), flat_text(brief), "\n".join(values(bare)), source)
    known = {_words(text) for text in shown}
    for number, copy in enumerate(copies, start=1):
        problem = "is equal to the brief" if _words(copy) in known else "; it ".join(faults(brief, copy))
        if problem:
            raise UnusableBrief(f"copy {number} of {len(copies)} {problem}" if len(copies) > 1 else f"it {problem}")


def _words(text: str) -> tuple[str, ...]:
    """What is said, whatever its case, spaces and punctuation; of a text without words the signs."""
    plain = normalise(text)
    return tuple(WORD.findall(plain)) or (plain,)
