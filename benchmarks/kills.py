"""How many of the runs that are killed end as they would have, every recipe and adaptation, at every kind of moment?

Each run is killed with SIGKILL before one of its file operations, spread over all of them, or at a moment, and then
resumed, or started again where it had written no config yet. The weights, predictions, scores and log must be those of
the run that nothing disturbed, bit for bit, and nothing half-written may be left.

    python benchmarks/kills.py --kills 24 --moments 6
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.chatted import write_chats
from tests.conftest import write_reviews
from tests.diagnosed import write_patients, write_table
from tests.kills import Killing

ALL = ["trainer=cpu", "trainer.threads=1", "trainer.checkpoint_every=2", "trainer.progress=false", "logger=csv"]
ALL += ["evaluation.resamples=20"]


def reviews(folder: Path) -> list[str]:
    """Sixty reviews, two epochs of eight steps."""
    rows = write_reviews(folder / "rows.csv", 60)
    few = ["data.batch_size=8", "data.max_length=16", "trainer.max_epochs=2", "trainer.validate_every=0.5"]
    return ["recipe=review_sentiment", f"data.train={rows}", "data.label=label", "model.dropout=0.1", *few]


def chats(folder: Path) -> list[str]:
    """Thirty conversations, eight steps."""
    rows = write_chats(folder / "chats.jsonl", 30, rounds=1)
    few = ["data.batch_size=4", "trainer.max_steps=8", "recipe.max_new_tokens=4", "evaluation.max_generations=4"]
    return ["recipe=customer_chat", f"data.train={rows}", "evaluation.zero_shot=false", *few]


def briefs(folder: Path) -> list[str]:
    """The sample briefs, six steps."""
    few = ["trainer.max_steps=6", "recipe.max_new_tokens=4", "evaluation.max_generations=4", "data.batch_size=4"]
    return ["recipe=marketing_copy", "evaluation.zero_shot=false", *few]


def images(folder: Path) -> list[str]:
    """Pictures of forty patients, two epochs."""
    given = []
    for split, patients, seed in (("train", 40, 0), ("validation", 16, 10**6), ("test", 24, 2 * 10**6)):
        table = write_table(folder / f"{split}.csv", write_patients(folder / split, patients, seed))
        given.append(f"data.{split}={table}")
    return ["recipe=medical_diagnosis", "recipe.size=32", *given, "data.group=patient", "trainer.max_epochs=2"]


SETTINGS: dict[str, tuple[Callable[[Path], list[str]], list[str]]] = {
    "reviews, full": (reviews, ["adapt=full"]),
    "reviews, LoRA": (reviews, ["adapt=lora", "adapt.lora_dropout=0.1"]),
    "reviews, head": (reviews, ["adapt=head", "trainer.max_epochs=3"]),
    "reviews, from scratch": (reviews, ["adapt=scratch"]),
    "reviews, accumulation and workers": (reviews, ["trainer.accumulate_grad_batches=2", "data.num_workers=2"]),
    "reviews, moving average": (reviews, ["trainer.callbacks=[{ema_weight_averaging:{decay:0.9}}]"]),
    "reviews, two processes": (reviews, ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]),
    "conversations, full": (chats, []),
    "conversations, LoRA": (chats, ["adapt=lora"]),
    "briefs, full": (briefs, []),
    "images, full": (images, []),
    "images, head": (images, ["adapt=head"]),
}


def outcomes(killing: Killing, numbers: Sequence[int], moments: Sequence[float]) -> Iterator[tuple[str, str]]:
    """What was done, and what was wrong then, of each kill."""
    for number in numbers:
        yield f"operation {number}", killing.killed_at_operation(number)
        shutil.rmtree(killing.folder / f"operation-{number}", ignore_errors=True)
    for moment in moments:
        yield f"moment {moment:.2f} s", killing.killed_at_moment(moment)
        shutil.rmtree(killing.folder / f"moment-{moment:.3f}", ignore_errors=True)


def main() -> None:
    """Kill, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=24, help="kills at file operations in each setting")
    parser.add_argument("--moments", type=int, default=6, help="kills at random moments in each setting")
    parser.add_argument("--only", default="", help="settings whose name has this in it")
    options = parser.parse_args()
    draw, total, wrong = random.Random(0), 0, 0
    print(f"{'setting':36} {'file operations':>15} {'kills':>6} {'the same':>9}", flush=True)
    for name, (rows, more) in SETTINGS.items():
        if options.only not in name:
            continue
        with tempfile.TemporaryDirectory(prefix="kills-") as scratch:
            folder = Path(scratch)
            started = time.monotonic()
            usual = [each for each in ALL if each != "trainer=cpu" or "trainer=ddp" not in more]
            killing = Killing(folder / "runs", [*rows(folder), *usual, *more])
            took = time.monotonic() - started
            step = killing.operations / max(1, options.kills)
            numbers = sorted(
                {min(killing.operations, 1 + int((i + draw.random()) * step)) for i in range(options.kills)}
            )
            moments = [draw.uniform(0.1, 0.9 * took) for _ in range(options.moments)]
            same = 0
            for what, said in outcomes(killing, numbers, moments):
                same += not said
                if said:
                    print(f"  {name}, {what}: {said}", flush=True)
            kills = len(numbers) + len(moments)
            total, wrong = total + kills, wrong + kills - same
            print(f"{name:36} {killing.operations:15} {kills:6} {same:9}", flush=True)
    print(f"{total - wrong} of {total} ended as if nothing had happened")


if __name__ == "__main__":
    main()
