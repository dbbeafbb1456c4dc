"""Compose the sample conversations: ``python -m tunebook.recipes.customer_chat.compose <folder>``.

The rows are narrow on purpose. From some hundred of them a model of a few million parameters learns to recognise what
is asked, to state the shop's policy and to repeat the customer's order number; from as many varied ones it learns
nothing that a person would recognise.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from tunebook import UserError

from .orders import ORDERS
from .questions import QUESTIONS
from .shop import VALUES, follow
from .topic import Topic

TOPICS = (*ORDERS, *QUESTIONS)
ROWS = 560
FEWEST = 200
"""With fewer not every topic is among the validation rows."""

# A greeting is answered by its like.
_GREETINGS = {"": "", "Hello. ": "Hello. ", "Good morning. ": "Good morning. ", "hi, ": "Hi. ", "hey, ": "Hi. "}
_FORMAL, _CASUAL = ("", "", "Hello. ", "Good morning. "), ("", "", "hi, ", "hey, ")
_NUMBERS = (" Order {order}.", " It is order {order}.")
_REPLIES = (
    "Order {order}.",
    "It is order {order}.",
    "That is order {order}.",
    "Yes, order {order}.",
    "Here it is, order {order}.",
)
_NEW_REPLIES = {"validation": "That would be order {order}.", "test": "Sure, order {order}."}
_PROMPT = " What is the order number?"

T = TypeVar("T")


class Draw:
    """Random choices that are the same in every version of Python, which promises that of ``random()`` alone."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, count: int) -> int:
        """A number from 0 to ``count`` - 1."""
        return int(self._random.random() * count)

    def one(self, of: Sequence[T]) -> T:
        """One of them."""
        return of[self.below(len(of))]

    def chance(self, share: float) -> bool:
        """True in this share of the calls."""
        return self._random.random() < share

    def order(self) -> str:
        """Three different digits: the digit before then says where in the question to copy on."""
        left = list("0123456789")
        digits = [left.pop(1 + self.below(9))]
        while len(digits) < 3:
            digits.append(left.pop(self.below(len(left))))
        return "".join(digits)


class Distinct:
    """The texts about a topic so far, by their word 3-grams: no two may be nearly the same, in one split or in two."""

    limit = 0.8
    """Highest Jaccard similarity, well below the 0.9 at which `data.near_duplicate` finds a pair."""

    def __init__(self) -> None:
        self._grams: list[set[tuple[str, ...]]] = []

    def add(self, text: str) -> bool:
        """Whether no text before is like this one; then it is one of them."""
        words = re.findall(r"\w+", text.casefold())
        grams = {tuple(words[at : at + 3]) for at in range(len(words) - 2)}
        new = all(len(grams & other) <= self.limit * len(grams | other) for other in self._grams)
        if new:
            self._grams.append(grams)
        return new


def conversations(rows: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    """The rows of each split: 8 % are for validation, 16 % for test.

    Topics come in turn, so that all are equally frequent. In the validation and test rows half of the customers write
    in a way that does not occur in training.
    """
    if rows < FEWEST:
        raise UserError(
            f"rows cannot be {rows}", code="synthetic.out-of-range", where="rows", fix=f"use {FEWEST} or more"
        )
    draw, distinct = Draw(seed), {topic.name: Distinct() for topic in TOPICS}
    sizes = {"validation": rows * 2 // 25, "test": rows * 4 // 25}
    sizes = {"train": rows - sum(sizes.values()), **sizes}
    found: dict[str, list[dict[str, Any]]] = {}
    count = customer = 0
    for split, size in sizes.items():
        found[split] = []
        for place in range(size):
            topic = TOPICS[place % len(TOPICS)]
            messages, facts = _another(draw, topic, split, distinct[topic.name])
            count += 1
            customer += place == 0 or not draw.chance(0.1)  # else the one before writes again
            ids = {"id": f"chat-{count:04d}", "customer": f"cust-{customer:04d}", "topic": topic.name}
            found[split].append({**ids, "messages": messages, "facts": facts})
    return found


def _another(draw: Draw, topic: Topic, split: str, distinct: Distinct) -> tuple[list[dict[str, str]], list[str]]:
    """A conversation that is not like one before."""
    for _ in range(1000):
        messages, facts = _conversation(draw, topic, split)
        if distinct.add(" ".join(message["content"] for message in messages)):
            return messages, facts
    raise UserError(
        f"There are not so many different conversations about {topic.name}.",
        code="synthetic.out-of-range",
        where="rows",
        fix="use fewer",
    )


def _conversation(draw: Draw, topic: Topic, split: str) -> tuple[list[dict[str, str]], list[str]]:
    """The messages, and the facts that the answers state."""
    values = {"order": draw.order(), **{name: draw.one(choices) for name, choices in VALUES.items()}}
    values |= follow(values)
    unseen, casual = split != "train" and draw.chance(0.5), draw.chance(0.3)
    new = (topic.validation,) if split == "validation" else topic.test
    way, greeting = draw.one(new if unseen else topic.ways), draw.one(_CASUAL if casual else _FORMAL)
    later = bool(topic.prompt) and draw.chance(0.7)
    if topic.prompt and not later:
        way += draw.one(_NUMBERS)
    texts = [greeting + _written(draw, way, casual, values)]
    opening, facts = _GREETINGS[greeting], topic.facts
    if later:
        reply = _NEW_REPLIES[split] if unseen else draw.one(_REPLIES)
        texts += [(opening + topic.prompt + _PROMPT).format(**values), _written(draw, reply, casual, values)]
        facts = ("order number", *facts)
    if topic.prompt:
        opening, facts = "Thank you, I have order {order} here. ", (*facts, "{order}")
    texts.append((opening + topic.answer).format(**values))
    roles = ("user", "assistant") * (len(texts) // 2)
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    return messages, [fact.format(**values) for fact in facts]


def _written(draw: Draw, way: str, casual: bool, values: dict[str, str]) -> str:
    """What the customer writes: correctly, or in lower case, with a typo now and then; codes stay as printed."""
    if not casual:
        return way.format(**values)
    words = way.lower().rstrip(".").split()
    long = [place for place, word in enumerate(words) if word.isalpha() and len(word) > 4]
    if long and draw.chance(0.1):
        place = draw.one(long)
        words[place] = _typo(draw, words[place])
    return " ".join(words).format(
        **{name: value if name == "code" else value.lower() for name, value in values.items()}
    )


def _typo(draw: Draw, word: str) -> str:
    """The word with two of its inner letters swapped."""
    at = 1 + draw.below(len(word) - 3)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def write(folder: Path, rows: int, seed: int) -> None:
    """Write one file for each split, or none where one of that name is there."""
    files = {folder / f"{split}.jsonl": found for split, found in conversations(rows, seed).items()}
    for file in files:
        if file.exists():
            raise UserError(
                f"There is a file {file.name}", code="file.exists", where=str(file), fix="give the name of a new folder"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, conversation in files.items():
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in conversation]
            file.write_text("".join(lines), encoding="utf-8", newline="\n")
    except OSError as error:
        raise UserError(
            f"The folder {folder.name} cannot be written: {error.strerror or error}",
            code="file.not-writable",
            where=str(folder),
            fix="free some space or choose a folder you may write to",
        ) from error


def main(words: Sequence[str] | None = None) -> int:
    """Write what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tunebook.recipes.customer_chat.compose",
        description="Compose short conversations of an invented clothes shop, in three splits.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="where to write train.jsonl, validation.jsonl and test.jsonl")
    parser.add_argument("--rows", type=int, default=ROWS, metavar="N", help=f"how many in all, {FEWEST} or more")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, other conversations")
    options = parser.parse_args(words)
    try:
        write(options.folder, options.rows, options.seed)
    except UserError as error:
        print(f"{error.kind}{error.message()}", file=sys.stderr)
        return error.exit_code
    print(f"{options.rows} conversations in {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
