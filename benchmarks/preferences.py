"""What a step of DPO and of KTO costs, beside TRL's trainers on the same token rows.

pip install trl accelerate datasets
python benchmarks/preferences.py --model <folder> [--rows 8] [--steps 5]

Both systems tune all weights of the same model in float32 with the same AdamW, on the same batch of synthetic rows of
different lengths, with reference log-probabilities that are known already (TRL's precompute_ref_log_probs). A step is
forward, backward and the optimizer's step. The systems take turns, and each ratio is the median of the turns' ratios.
Before that, both must have the same loss.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tunebook.config.schema import Objective
from tunebook.families.text_generation.data.answers import Supervised
from tunebook.families.text_generation.options import PreferenceObjective
from tunebook.families.text_generation.preferences.heads import preference_head
from tunebook.families.text_generation.preferences.items import Preference, stack_preferences

BETA, LR, TOLERANCE = 0.1, 1e-6, 1e-3
PROMPT, ANSWER = (8, 64), (8, 96)
"""Fewest and most tokens of prompts and answers."""


def token_rows(count: int, vocabulary: int) -> list[Preference]:
    """Rows of random tokens; the reference is the same for all, which costs the same as any other."""
    draw = np.random.default_rng(0)
    made = []
    for number in range(count):
        prompt = draw.integers(10, vocabulary, draw.integers(*PROMPT)).astype(np.int32)
        both = []
        for _ in range(2):
            ids = np.concatenate([prompt, draw.integers(10, vocabulary, draw.integers(*ANSWER)).astype(np.int32)])
            both.append(Supervised(ids, np.arange(len(ids)) >= len(prompt)))
        made.append(Preference((both[0], both[1]), number % 2 == 0, number, np.zeros(2)))
    return made


def parts(rows: list[Preference], kind: str) -> list[dict[str, Any]]:
    """The rows as TRL's collators take them."""
    found = []
    for row in rows:
        first, second = row.rows
        answers = [each.ids[each.supervised].tolist() for each in (first, second)]
        common = {"prompt_ids": first.ids[~first.supervised].tolist()}
        if kind == "DPO":
            names = {"chosen_ids": answers[0], "rejected_ids": answers[1]}
            found.append({**common, **names, "ref_chosen_logps": 0.0, "ref_rejected_logps": 0.0})
        else:
            names = {"completion_ids": answers[0], "KL_completion_ids": answers[1], "label": row.good}
            found.append({**common, **names, "ref_logps": 0.0, "ref_KL_logps": 0.0})
    return found


def trainer_of(kind: str, folder: str, place: str) -> Any:
    """TRL's trainer, on rows of its own that are not timed."""
    import trl
    from datasets import Dataset

    said = {name: [{"role": "assistant", "content": name}] for name in ("chosen", "rejected", "completion")}
    own = ("chosen", "rejected") if kind == "DPO" else ("completion",)
    turns = {"prompt": [{"role": "user", "content": "Where?"}], **{name: said[name] for name in own}}
    rows = [{**turns, **({} if kind == "DPO" else {"label": number % 2 == 0})} for number in range(4)]
    more = {} if kind == "DPO" else {"train_sampling_strategy": "sequential"}
    arguments = getattr(trl, f"{kind}Config")(
        output_dir=place,
        beta=BETA,
        report_to=[],
        use_cpu=True,
        bf16=False,
        max_length=None,
        precompute_ref_log_probs=True,
        activation_checkpointing=False,
        per_device_train_batch_size=2,
        **more,
    )
    return getattr(trl, f"{kind}Trainer")(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype="float32"),
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )


def timed(loss: Callable[[], torch.Tensor], optimizer: torch.optim.Optimizer) -> tuple[float, float]:
    """Seconds of a step, and its loss."""
    started = time.process_time()
    value = loss()
    value.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return time.process_time() - started, float(value.detach())


def compared(kind: str, folder: str, count: int, steps: int) -> None:
    """Print medians and the ratio for one objective."""
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = trainer_of(kind, folder, place)
        theirs = trainer.model.train()
        ours = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").train()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        rows = token_rows(count, len(tokenizer))
        objective = PreferenceObjective(Objective[kind.lower()], BETA)
        head = preference_head(objective)
        batch = stack_preferences(rows, tokenizer.pad_token_id or 0, True, objective.name)
        other = trainer.data_collator(parts(rows, kind))
        systems: dict[str, tuple[Callable[[], torch.Tensor], torch.optim.Optimizer]] = {
            "Tunebook": (
                lambda: head.loss(head.forward(ours, batch), batch["target"]).mean(),
                torch.optim.AdamW(ours.parameters(), lr=LR, fused=True),
            ),
            "TRL": (
                lambda: trainer.compute_loss(theirs, other),
                torch.optim.AdamW(theirs.parameters(), lr=LR, fused=True),
            ),
        }
        taken: dict[str, list[float]] = {name: [] for name in systems}
        for turn in range(steps + 1):
            losses = {}
            for name, system in systems.items():
                seconds, losses[name] = timed(*system)
                if turn:  # the first step allocates
                    taken[name].append(seconds)
            if abs(losses["Tunebook"] - losses["TRL"]) > TOLERANCE:
                raise SystemExit(f"{kind}: the losses differ: {losses}")
    ratios = [one / other for one, other in zip(taken["Tunebook"], taken["TRL"], strict=True)]
    shown = ", ".join(f"{name} {statistics.median(each):.2f} s" for name, each in taken.items())
    print(f"{kind}: CPU time of a step of {count} rows: {shown}; Tunebook / TRL {statistics.median(ratios):.2f}")


def main() -> None:
    """Both objectives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder with a causal language model and a chat template")
    parser.add_argument("--rows", type=int, default=8, help="rows of a step")
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each")
    given = parser.parse_args()
    for kind in ("DPO", "KTO"):
        compared(kind, given.model, given.rows, given.steps)


if __name__ == "__main__":
    main()
