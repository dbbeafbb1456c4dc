"""Make the rows, the tokenizer and the architecture of the text starter.

python -m tunebook_pretraining.text.prepare NOVELS REVIEWS QUERIES FOLDER

NOVELS holds train.txt and valid.txt, one paragraph a line (100 English novels, public domain); REVIEWS and QUERIES
hold train.csv (Women's E-Commerce Clothing Reviews, CC0; BANKING77, CC BY 4.0).
"""

from __future__ import annotations

import argparse
import csv
import json
import lzma
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .tokenizer import END, architecture, learn_tokenizer

PASSAGE = 2000  # characters; about as many tokens as a training block has
NOVEL_CHARACTERS = 36_000_000  # the share of the novels that an hour of one core can read once
DIALOGUE_CHARACTERS = 5_000_000
HELD_OUT = 3  # reviews whose number this divides are never read: they are for measuring what tuning buys


def novel_lines(folder: Path) -> list[str]:
    """Paragraphs of the training novels, in order."""
    plain = folder / "train.txt"
    if plain.is_file():
        return plain.read_text(encoding="utf-8").splitlines()
    with lzma.open(folder / "train.txt.xz", "rt", encoding="utf-8") as stream:
        return stream.read().splitlines()


def passages(lines: Sequence[str]) -> Iterator[str]:
    """Neighbouring paragraphs joined to passages of about ``PASSAGE`` characters; long ones cut between sentences."""
    held: list[str] = []
    size = 0
    for line in lines:
        for part in _pieces(line.strip()):
            if held and size + len(part) > PASSAGE:
                yield "\n".join(held)
                held, size = [], 0
            held.append(part)
            size += len(part)
    if held:
        yield "\n".join(held)


def _pieces(paragraph: str) -> Iterator[str]:
    while len(paragraph) > PASSAGE:
        cut = paragraph.rfind(". ", 0, PASSAGE) + 1 or PASSAGE
        yield paragraph[:cut]
        paragraph = paragraph[cut:].strip()
    if paragraph:
        yield paragraph


_QUOTED = re.compile(r'"([^"]{2,300})"')


def dialogues(passage: str) -> Iterator[str]:
    """What people in a passage say to each other, as turns of a conversation."""
    quotes = [s.strip().rstrip(",") for s in _QUOTED.findall(passage)]
    turns = [s for s in quotes if len(s) > 8]
    for start in range(0, len(turns) - 3, 6):
        part = turns[start : start + 6]
        part = part[: len(part) - len(part) % 2]
        roles = ("<|user|>", "<|assistant|>")
        yield END.join(roles[i % 2] + text for i, text in enumerate(part))


def review_texts(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    """Each review followed by what is known of it; twice, and three times where it has three stars or fewer."""
    for row in rows:
        stars, title, text = int(row["stars"]), row["title"].strip(), row["text"].strip()
        verdict = "recommended" if row["recommended"] == "1" else "not recommended"
        about = f"{stars} star{'s' * (stars != 1)}, {verdict}."
        yield f"{text}{END}{about} {title}".strip()
        yield f"{title}\n{text}{END}{about}".strip()
        if stars <= 3:
            yield f"{text}{END}{verdict}, {stars} star{'s' * (stars != 1)}. {title}".strip()


def query_texts(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    """Each question to a bank followed by what it is about."""
    for row in rows:
        about = row["label"].replace("_", " ").rstrip("?").lower()
        yield f"{row['text'].strip()}{END}About: {about}."
        yield f"<|user|>{row['text'].strip()}{END}<|assistant|>About: {about}."


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _write(path: Path, texts: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        for text in texts:
            stream.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    print(f"{path}: {len(texts)} texts, {sum(map(len, texts)) / 1e6:.1f} million characters")


def _up_to(texts: Sequence[str], characters: int) -> list[str]:
    chosen, size = [], 0
    for text in texts:
        chosen.append(text)
        size += len(text)
        if size >= characters:
            break
    return chosen


def main() -> None:
    """Write train.jsonl, validation.jsonl, test.jsonl, and a model folder without weights."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("novels", type=Path, help="folder of train.txt or train.txt.xz, and valid.txt")
    parser.add_argument("reviews", type=Path, help="folder of train.csv: review_id, title, text, stars ...")
    parser.add_argument("queries", type=Path, help="folder of train.csv with text, label")
    parser.add_argument("folder", type=Path, help="where to write rows and model")
    given = parser.parse_args()
    novels, reviews, queries, out = given.novels, given.reviews, given.queries, given.folder
    for file in (novels / "valid.txt", reviews / "train.csv", queries / "train.csv"):
        if not file.is_file():
            parser.error(f"there is no {file}")
    draw = random.Random(0)
    out.mkdir(parents=True, exist_ok=True)
    prose = list(passages(novel_lines(novels)))
    draw.shuffle(prose)
    talk = _up_to([d for passage in prose for d in dialogues(passage)], DIALOGUE_CHARACTERS)
    prose = _up_to(prose, NOVEL_CHARACTERS)
    rows = [row for row in _read(reviews / "train.csv") if int(row["review_id"]) % HELD_OUT]
    queries_read = _read(queries / "train.csv")
    held = rows[-300:]
    reviewed, queried = list(review_texts(rows[:-300])), list(query_texts(queries_read))
    train = prose + talk + reviewed + queried
    draw.shuffle(train)
    held_prose = list(passages((novels / "valid.txt").read_text(encoding="utf-8").splitlines()))
    draw.shuffle(held_prose)
    held_texts = [next(review_texts([row])) for row in held]
    _write(out / "train.jsonl", train)
    _write(out / "validation.jsonl", held_prose[:150] + held_texts[:150])
    _write(out / "test.jsonl", held_prose[150:300] + held_texts[150:])
    for what, texts in {"prose": prose, "dialogue": talk, "reviews": reviewed, "queries": queried}.items():
        print(f"  {what}: {len(texts)} texts, {sum(map(len, texts)) / 1e6:.1f} million characters")
    sample = draw.sample(prose, 6000) + draw.sample(talk, 1500) + reviewed + queried
    tokenizer = learn_tokenizer(sample)
    tokenizer.save_pretrained(out / "model")
    architecture().save_pretrained(out / "model")
    ids = tokenizer(draw.sample(train, 500))["input_ids"]
    tokens = sum(map(len, ids)) / 500 * len(train)
    print(f"model folder without weights: {out / 'model'}; about {tokens / 1e6:.1f} M tokens")


if __name__ == "__main__":
    main()
