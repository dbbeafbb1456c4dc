"""Documents that an answer is to be drawn from: put into the prompt of a conversation, never learned."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tunebook.data.rows import Rows, RowWriter
from tunebook.families.text_generation.data.message import CONVERSATION, Context, from_text, grounded, to_text

CONTEXT = "context"
"""Role of the column with the documents of a conversation."""
HOW = 'write it as a text, or as a list of texts: ["Delivery takes 3 days.", "A lamp is £42."]'


def parse_context(value: str) -> tuple[str, ...]:
    """The documents of a row: a JSON list of texts, or one text; none where it is empty.

    Raises:
        ValueError: It is something else, or a text is empty or cannot be written down.
    """
    documents: Any = value
    if value.lstrip().startswith(("[", "{")):
        try:
            documents = json.loads(value)
        except (ValueError, RecursionError):
            documents = value  # a text that begins so
    if isinstance(documents, str):
        documents = [documents] if documents.strip() else []
    if not isinstance(documents, list) or not all(isinstance(each, str) for each in documents):
        raise ValueError("the context is neither a text nor a list of texts")
    found = tuple(unicodedata.normalize("NFC", each).strip() for each in documents)
    if not all(found):
        raise ValueError("a text of the context is empty")
    if any("\0" in each or any("\ud800" <= letter <= "\udfff" for letter in each) for each in found):
        raise ValueError("the context contains a NUL character or half of a surrogate pair")
    return found


def shown(documents: Sequence[str]) -> str:
    """Documents as they stand in a prompt, in their order."""
    return "\n".join(f"<document>\n{document}\n</document>" for document in documents)


def with_context(turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Turns with the context they carry put where it belongs, and carried no more.

    With the place ``system`` it follows the system turn, or is one; with ``user`` it stands before the first user turn.
    """
    context = turns[0].get("context") if turns else None
    made = [{key: value for key, value in turn.items() if key != "context"} for turn in turns]
    if context is None:
        return made
    documents = shown(context.documents)
    if context.place == "user":
        first = next((turn for turn in made if turn["role"] == "user"), None)
        if first is not None:
            first["content"] = f"{documents}\n\n{first['content']}"
        return made
    if made[0]["role"] == "system":
        made[0]["content"] = f"{made[0]['content']}\n\n{documents}"
        return made
    tools = {"tools": made[0]["tools"]} if "tools" in made[0] else {}
    return [{"role": "system", "content": documents, **tools}, *made]


def contexts_of(rows: Rows) -> list[Context | None]:
    """The context of each row."""
    texts = rows.texts(CONVERSATION) if CONVERSATION in rows.roles else []
    return [from_text(text)[0].context if '"context":{' in text else None for text in texts]


def with_distractors(rows: Rows, wanted: int, seed: int) -> Rows:
    """Mix documents of other rows into the context of each row that has one, in an order drawn by chance.

    The draw depends on the seed and the rows alone. None is one of the row's own; where there are too few others, all
    of them are taken.

    Args:
        rows: The rows of a split.
        wanted: Documents of others for each.
        seed: Of the draw.
    """
    contexts = contexts_of(rows)
    pool = sorted({document for context in contexts if context for document in context.documents})
    if not wanted or not pool:
        return rows
    writer, number = RowWriter(rows.table.schema, rows.split), 0
    place = rows.table.schema.get_field_index(CONVERSATION)
    for batch in rows.table.to_batches():
        texts = batch.column(place).to_pylist()
        for i, text in enumerate(texts):
            context = contexts[number]
            if context is not None:
                draw = np.random.default_rng([seed, number])
                some = draw.choice(len(pool), min(len(pool), wanted + len(context.documents)), replace=False)
                others = [pool[j] for j in some if pool[j] not in context.documents][:wanted]
                documents = [*context.documents, *others]
                mixed = tuple(documents[j] for j in draw.permutation(len(documents)))
                texts[i] = to_text(grounded(from_text(text), Context(mixed, context.place)))
            number += 1
        writer.add_batch(batch.set_column(place, CONVERSATION, pa.array(texts, pa.string())))
    return writer.finish()
