"""What stands beside a conversation or a copy and changes what may be learned from it: such a row is refused by name.

Other trainers read these keys. Without them the row would be learned as if they did not exist: a bad answer as a good
one, a question about a picture without the picture.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tunebook.data.columns import Column

BESIDE = "beside:"
"""What the roles of these columns begin with."""
PREFERRED, DISPREFERRED = "chosen", "rejected"
_TOOLS = "lists tools, which the model would not see. Remove the key, or describe the tools in the system turn"
_MEDIA = (
    "holds media, and only text is supported. Leave these rows out, or remove the key where the text alone is enough"
)
_RATED = "says whether the answer is good (unpaired preferences, KTO). Keep the good rows only, and remove the key"
_PAIRED = "holds an answer to avoid (preference pairs, DPO). Keep the preferred answers only, and remove the key"
_CONTEXT: Mapping[str, str] = {
    **dict.fromkeys(("tools", "functions"), _TOOLS),
    **dict.fromkeys(("images", "image", "videos", "video", "audios", "audio"), _MEDIA),
}
_ANSWERS: Mapping[str, str] = {
    **dict.fromkeys(("label", "kto_tag"), _RATED),
    **dict.fromkeys(("rejected_response", "rejected_messages", DISPREFERRED), _PAIRED),
}
_EMPTY = {"", "null", "[]", "{}"}


def beside_columns(key: str, answered: bool, context: bool = True, taken: Collection[str] = ()) -> list[Column]:
    """The columns that are looked at only to refuse rows which have a value there.

    Args:
        key: The config key that messages name.
        answered: Whether the rows hold answers, so that keys which judge them count.
        context: Whether keys with more of the question (tools, media) count.
        taken: Columns that are read as something else.
    """
    names = [*(_CONTEXT if context else ()), *([*_ANSWERS, PREFERRED] if answered else ())]
    return [
        Column(BESIDE + name, name, key, "any", required=False, watched=True) for name in names if name not in taken
    ]


def refusal(row: Mapping[str, str | None]) -> str | None:
    """Why a row cannot be used, given its values by role; None where nothing beside it forbids that."""
    for name, reason in {**_CONTEXT, **_ANSWERS}.items():
        value = (row.get(BESIDE + name) or "").strip()
        if value in _EMPTY:
            continue
        if reason is _RATED and value.casefold() not in ("true", "false"):  # a topic, or a number
            continue
        if name == DISPREFERRED and (row.get(BESIDE + PREFERRED) or "").strip() in _EMPTY:  # rejected by somebody
            continue
        shown = f" ({value.casefold()})" if reason is _RATED else ""
        return f"the key '{name}'{shown} {reason}"
    return None
