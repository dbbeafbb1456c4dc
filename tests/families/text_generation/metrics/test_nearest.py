from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from tunebook.families.text_generation.metrics.nearest import NearestCopy


def test_the_nearest_is_that_of_the_formula() -> None:
    draw = random.Random(0)
    vocabulary = [f"w{i}" for i in range(40)]
    texts = [" ".join(draw.choices(vocabulary, range(40, 0, -1), k=8)) for _ in range(60)]
    train, rest = list(dict.fromkeys(texts[:40])), [*texts[40:], "w1 unknown"]
    with_word = Counter(word for text in train for word in set(text.split()))

    def vector(text: str) -> dict[str, float]:
        return {word: 1 + math.log(len(train) / with_word[word]) for word in set(text.split()) if with_word[word]}

    def cosine(one: dict[str, float], other: dict[str, float]) -> float:
        dot = sum(one[word] * other.get(word, 0.0) for word in one)
        return dot / (math.hypot(*one.values()) * math.hypot(*other.values()))

    expected = [[cosine(vector(text), vector(known)) for known in train] for text in rest]
    nearest = NearestCopy(train, [str(i) for i in range(len(train))])
    numbers, cosines = nearest.nearest(rest)
    assert cosines == pytest.approx([max(row) for row in expected])
    assert [row[number] for row, number in zip(expected, numbers, strict=True)] == pytest.approx(cosines)
    assert nearest.write(rest) == [str(number) for number in numbers]


def test_nearest_takes_the_first_copy_and_refuses_nothing_known() -> None:
    nearest = NearestCopy(["a b", "a b", "c"], ["first", "second", "third"])
    assert nearest.write(["b a", "c", "unknown"]) == ["first", "third", "first"]
    assert nearest.nearest(["unknown"]) == ([0], [0.0])
    assert NearestCopy(["", "!"], ["first", "second"]).write(["", "word"]) == ["first", "first"]
    with pytest.raises(ValueError, match="at least one source"):
        NearestCopy([], [])
