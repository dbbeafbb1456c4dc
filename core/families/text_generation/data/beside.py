"""What stands beside a conversation or a copy and changes what may be learned from it: such a row is refused by name.

Other trainers read these keys. Without them the row would be learned as if they did not exist: a bad answer as a good
one, a question about a picture without the picture.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

from tunebook.data.columns import Column

BESIDE = "beside:"
"""What the roles of these columns begin with."""
PREFERRED, DISPREFERRED = "chosen", "rejected"
_TOOLS = "lists tools, which the model would not see. List them in OpenAI's form in a column 'tools', or remove the key"
_MEDIA = (
    "holds media, and only text is supported. Leave these rows out, or remove the key where the text alone is enough"
)
_RATED = "says whether the answer is good (unpaired preferences, KTO). Keep the good rows only, and remove the key"
_PAIRED = "holds an answer to avoid (preference pairs, DPO). Keep the preferred answers only, and remove the key"
_FLAGGED = "says that the row counts less or not at all. Remove such rows, or the key; turns can be excluded one by one"
_CONTEXT: Mapping[str, str] = {
    "functions": _TOOLS,
    **dict.fromkeys(("images", "image", "videos", "video", "audios", "audio"), _MEDIA),
}
_ANSWERS: Mapping[str, str] = {
    **dict.fromkeys(("label", "kto_tag"), _RATED),
    **dict.fromkeys(("rejected_response", "rejected_messages", DISPREFERRED), _PAIRED),
}
_FLAGS: Mapping[str, str] = dict.fromkeys(("train", "training", "loss", "weight", "masked"), _FLAGGED)
_UNSEEN: Mapping[str, str] = {
    "tools": "lists tools, and preferences are learned without them. Remove the key where the text alone is enough"
}
_EMPTY = {"", "null", "[]", "{}"}


def beside_columns(
    key: str, answered: bool, context: bool = True, taken: Collection[str] = (), tools: bool = True
) -> list[Column]:
    """The columns that are looked at only to refuse rows which have a value there.

    Args:
        key: The config key that messages name.
        answered: Whether the rows hold answers, so that keys which judge them count.
        context: Whether keys with more of the question (functions, media) count.
        taken: Columns that are read as something else.
        tools: Whether tools are read; rows that list some are refused otherwise.
    """
    flags = _FLAGS if context and answered else ()  # a brief may well have a weight
    names = [*(_CONTEXT if context else ()), *flags, *([*_ANSWERS, PREFERRED] if answered else ())]
    names += [] if tools else _UNSEEN
    return [
        Column(BESIDE + name, name, key, "any", required=False, watched=True) for name in names if name not in taken
    ]


def refusal(row: Mapping[str, str | None]) -> str | None:
    """Why a row cannot be used, given its values by role; None where nothing beside it forbids that."""
    for name, reason in {**_CONTEXT, **_FLAGS, **_ANSWERS, **_UNSEEN}.items():
        value = (row.get(BESIDE + name) or "").strip()
        if value in _EMPTY:
            continue
        if reason is _FLAGGED and not _counts_less(name, value):
            continue
        if reason is _RATED and value.casefold() not in ("true", "false"):  # a topic, or a number
            continue
        if name == DISPREFERRED and (row.get(BESIDE + PREFERRED) or "").strip() in _EMPTY:  # rejected by somebody
            continue
        shown = f" ({value.casefold()})" if reason in (_RATED, _FLAGGED) else ""
        return f"the key '{name}'{shown} {reason}"
    return None


def _counts_less(name: str, value: str) -> bool:
    """Whether the value of a flag is another than that of a row which counts as any other."""
    if name == "weight":
        with suppress(ValueError):
            return 0 <= float(value) < 1  # more may be pounds
        return False
    return value.casefold() in (("true", "1") if name == "masked" else ("false", "0", "0.0"))
