"""What writing copy for 500 briefs costs: ours beside transformers' `generate`, one by one and in batches.

python benchmarks/marketing_copy_generation.py [--data ../shared/data/e2e] [--models runs/x/model starter_text t5:96]

The briefs are the first distinct ones of the E2E challenge's test set (CC BY-SA 4.0, arXiv:1706.09254), asked in the
starter's chat template, in an order drawn by seed: in the file they lie nearly by length, as no catalogue does
(`--sorted` leaves them so, and batches in input order then hardly pad).

`starter_text` is the starter as it ships, which has not learned to write copy and gives nearly all briefs one of two
short answers. `llama` and `t5` are about as large, with its tokenizer and random weights, so that no two answers are
alike. Behind `:96` every 96th token of the vocabulary closes a copy: their lengths are then spread as those of
copies that people wrote (49 tokens on average). A row that is done is what a batch can save; how much that is with a
tuned model, the folder of one shows.

All write greedily in float32, on one thread; what counts is CPU time (user and system). The systems take turns in one
process, and each figure is the median of the turns' ratios. Each of our answers must be the one that `generate` gives
to its brief alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "shared" / "data" / "e2e"
STARTER = Path(__file__).parents[1] / "core" / "models" / "starters" / "starter_text"
SYSTEMS = ("ours", "one_by_one", "in_order")
Answers = list[list[int]]


def read_briefs(data: Path, briefs: int, by_length: bool) -> list[str]:
    """The first distinct briefs of the test file, shuffled, or in its order."""
    with (data / "test.csv").open(encoding="utf-8", newline="") as stream:
        read = list(dict.fromkeys(row["mr"] for row in csv.DictReader(stream)))[:briefs]
    return read if by_length else random.Random(0).sample(read, len(read))


def make(kind: str, folder: Path) -> None:
    """A Llama or a T5 about as large as the starter, with its tokenizer."""
    import torch
    from transformers import (
        AutoConfig,
        AutoTokenizer,
        LlamaForCausalLM,
        PreTrainedModel,
        T5Config,
        T5ForConditionalGeneration,
    )

    tokenizer = AutoTokenizer.from_pretrained(STARTER)
    torch.manual_seed(0)
    model: PreTrainedModel
    if kind == "llama":
        config = AutoConfig.from_pretrained(STARTER, tie_word_embeddings=False, dtype=torch.float32)
        config.initializer_range = 0.3  # with weights as small as is usual it says one token forever
        model = LlamaForCausalLM(config)
    else:
        sizes = {"d_model": 192, "d_kv": 32, "d_ff": 512, "num_layers": 4, "num_heads": 6}
        ids = {"pad_token_id": tokenizer.pad_token_id, "decoder_start_token_id": tokenizer.pad_token_id}
        of_t5 = T5Config(vocab_size=len(tokenizer), feed_forward_proj="gated-gelu", **sizes, **ids)
        model = T5ForConditionalGeneration(of_t5)
    # Not tied: a model whose final layer is its random embeddings does so too.
    model.set_output_embeddings(torch.nn.Linear(192, len(tokenizer), bias=False))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def load(folder: Path) -> tuple[Any, Any]:
    from tunebook.families.text_generation.model.seq2seq import is_seq2seq, load_seq2seq
    from tunebook.models.language_model import load_language_model
    from tunebook.models.source import ModelSource
    from tunebook.models.text import load_tokenizer

    source = ModelSource(folder.name, folder)
    model: Any = load_seq2seq(source) if is_seq2seq(source) else load_language_model(source)
    return model.eval(), load_tokenizer(source)


def systems(
    name: str, model: Any, tokenizer: Any, prompts: Answers, given: argparse.Namespace
) -> dict[str, Callable[[], Answers]]:
    """The same answers in three ways."""
    import torch
    from transformers import GenerationConfig

    from tunebook.families.text_generation.model.generate import generate
    from tunebook.families.text_generation.model.generation import Generation

    every = int(name.partition(":")[2] or 0)
    stops = range(0, len(tokenizer), every) if every else [tokenizer.eos_token_id]
    wanted = GenerationConfig(
        max_new_tokens=given.tokens, do_sample=False, eos_token_id=list(stops), pad_token_id=tokenizer.pad_token_id
    )

    def theirs(batch_size: int) -> Answers:
        tokenizer.padding_side = "left"
        answers: Answers = []
        for start in range(0, len(prompts), batch_size):
            batch = tokenizer.pad({"input_ids": prompts[start : start + batch_size]}, return_tensors="pt")
            with torch.no_grad():
                whole = model.generate(**batch, generation_config=wanted)
            first = 1 if model.config.is_encoder_decoder else batch["input_ids"].shape[1]
            for answer in whole[:, first:].tolist():
                end = next((place for place, token in enumerate(answer) if token in stops), len(answer))
                answers.append(answer[:end])
        return answers

    return {
        "ours": lambda: generate(model, tokenizer, prompts, Generation(given.tokens), stops, given.batch),
        "one_by_one": lambda: theirs(1),
        "in_order": lambda: theirs(given.batch),
    }


def measure(name: str, folder: Path, briefs: list[str], given: argparse.Namespace) -> dict[str, Any]:
    """Answers compared, then all systems in turn."""
    model, tokenizer = load(folder)
    chats = [[{"role": "user", "content": brief}] for brief in briefs]
    prompts = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats]
    ways = systems(name, model, tokenizer, prompts, given)
    seconds: dict[str, list[float]] = {way: [] for way in SYSTEMS}
    answers: dict[str, Answers] = {}
    for turn in range(given.turns):
        for way in SYSTEMS[turn % 3 :] + SYSTEMS[: turn % 3]:
            start = time.process_time()
            answers[way] = ways[way]()
            seconds[way].append(time.process_time() - start)
            print(f"{name}, turn {turn + 1}, {way}: {seconds[way][-1]:.1f} s", file=sys.stderr, flush=True)
        alike = sum(a == b for a, b in zip(answers["ours"], answers["one_by_one"], strict=True))
        if alike < len(prompts):
            sys.exit(f"{len(prompts) - alike} of {len(prompts)} answers of {name} are not those given one by one.")
    ratios = {
        way: statistics.median(b / a for a, b in zip(seconds["ours"], seconds[way], strict=True)) for way in SYSTEMS
    }
    lengths = [len(answer) for answer in answers["ours"]]
    in_order = sum(a == b for a, b in zip(answers["in_order"], answers["one_by_one"], strict=True))
    medians = {way: statistics.median(times) for way, times in seconds.items()}
    tokens = {"prompt": [len(p) for p in prompts], "answer": lengths}
    return {"model": name, "seconds": medians, "ratios": ratios, "alike": alike, "in_order_alike": in_order} | {
        f"{what}_tokens": statistics.mean(sizes) for what, sizes in tokens.items()
    }


def table(results: list[dict[str, Any]], briefs: int) -> str:
    lines = [
        "| model | tokens: prompt / answer | same as one by one | CPU s: ours / one by one / in input order "
        "| one by one / ours | in input order / ours |",
        "|---|---|---:|---|---:|---:|",
    ]
    for r in results:
        seconds = " / ".join(f"{r['seconds'][way]:.0f}" for way in SYSTEMS)
        lines.append(
            f"| {r['model']} | {r['prompt_tokens']:.0f} / {r['answer_tokens']:.0f} | {r['alike']} of {briefs} "
            f"| {seconds} | {r['ratios']['one_by_one']:.2f} | {r['ratios']['in_order']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with test.csv (default: %(default)s)")
    parser.add_argument("--models", nargs="+", default=["starter_text", "llama:96", "t5:96"])
    parser.add_argument("--sorted", action="store_true", help="leave the briefs in the order of the file")
    parser.add_argument("--briefs", type=int, default=500)
    parser.add_argument("--tokens", type=int, default=64, help="longest copy (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=32, help="briefs at once (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the figures there as JSON too")
    given = parser.parse_args()
    if not (given.data / "test.csv").is_file():
        sys.exit(f"There is no {given.data / 'test.csv'}; give the folder of the E2E challenge with --data.")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch
    from transformers.utils import logging

    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    briefs = read_briefs(given.data, given.briefs, given.sorted)
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in given.models:
            kind = name.partition(":")[0]
            folder = {"starter_text": STARTER, "llama": Path(scratch) / kind, "t5": Path(scratch) / kind}.get(
                kind, Path(kind)
            )
            if folder.parent == Path(scratch):
                make(kind, folder)
            results.append(measure(name, folder, briefs, given))
    if given.out:
        given.out.write_text(json.dumps(results, indent=2), encoding="utf-8")
    print(table(results, len(briefs)))


if __name__ == "__main__":
    main()
