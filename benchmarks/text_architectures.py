"""Which of transformers' text architectures can be tuned here, by which adaptation, and what of the others?

A tiny random model of every architecture that transformers can build as a classifier, a causal model or one with an
encoder and a decoder goes through `check` by every adaptation, and through `train` with all weights. What works must
answer from its bundle as in memory, a row alone as among others, and end after a resume as without one; what does not
must be refused before training. The table is written to a page.

    python benchmarks/text_architectures.py --output docs/text-architectures.md
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import re
import resource
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from tests.chatted import write_chats
from tests.conftest import write_reviews
from tunebook.cli.main import main as command_line

# Imported once, and not by each command that is forked from here.
LOADED = (
    *("lightning.pytorch", "matplotlib.pyplot", "peft", "sklearn.linear_model", "torchmetrics.classification"),
    *("transformers.pipelines", "transformers.modeling_utils"),
    *(f"tunebook.pipeline.{name}" for name in ("prepare", "rehearse", "tune", "train", "judge", "evaluate")),
    *(f"tunebook.families.{name}.stages" for name in ("text_classification", "text_generation", "brief_to_text")),
)

KINDS = {
    "classifier": ("SequenceClassification", modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES),
    "causal": ("CausalLM", modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES),
    "seq2seq": ("Seq2SeqLM", modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES),
}
METHODS = {
    "classifier": ("full", "lora", "head", "scratch"),
    "causal": ("full", "lora", "scratch"),
    "seq2seq": ("full", "lora", "scratch"),
}
SECONDS = 240
WORDS = 400
# The usual names of sizes, each with a tiny value.
SIZES: Sequence[tuple[str, int]] = (
    (r"(hidden|d|model|embedding|emb|embed|word_embed_proj)_?(size|dim|model)|n_embd|dim|d_model|hidden_dim", 32),
    (
        r".*(intermediate|ffn|feedforward|feed_forward|inner|mlp).*(size|dim)|d_ff|n_inner|d_inner|ffn_dim|ffn_hidden_size",
        64,
    ),
    (r"(num_|n_)?(.*_)?(layers?|blocks?)(_per_.*)?|n_layer|num_hidden_layers|(encoder|decoder)_layers", 2),
    (r"(num_|n_)?(.*_)?(attention_)?heads?|n_head|(encoder|decoder)_attention_heads|num_key_value_heads", 2),
    (r"(.*_)?head_(dim|size)|d_kv|qk_nope_head_dim|v_head_dim|kv_channels", 16),
    (r"(num|n)_(.*_)?experts|moe_num_experts", 4),
    (r"num_experts_per_tok|moe_topk|top_k|moe_k", 2),
    (r"max_position_embeddings|n_positions|max_(source|target)_positions|max_seq_len(gth)?", 512),
    (r"q_lora_rank|kv_lora_rank|time_step_rank|.*_rank", 8),
)


def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer that closes texts, as RoBERTa's and BART's."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    texts = ["Where is my parcel, and when does it come?", "A lovely kettle, and it broke after two days."] * 3
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=WORDS, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=made, cls_token="<s>", sep_token="</s>", mask_token="<mask>", model_max_length=512, **names
    )


def smaller(settings: dict[str, Any]) -> dict[str, Any]:
    """The sizes of a config, tiny; lists with one entry a layer are cut to two."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and key.endswith("_config"):
            found[key] = {**value, **smaller(value)}
        elif key in ("vocab_size", "encoder_vocab_size", "decoder_vocab_size", "src_vocab_size", "tgt_vocab_size"):
            found[key] = WORDS
        elif isinstance(value, list) and key in ("layer_types", "layers_block_type", "mlp_layer_types"):
            kinds = list(dict.fromkeys(value))
            found[key] = (kinds + kinds)[:2]
        elif isinstance(value, int) and not isinstance(value, bool):
            small = next((size for names, size in SIZES if re.fullmatch(names, key)), None)
            if small is not None and value > small:
                found[key] = small
    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    both = settings.get("is_encoder_decoder")
    return found | {key: number for key, number in ids.items() if key in settings or (both and "decoder" in key)}


OWN: dict[str, dict[str, Any]] = {
    "xlnet": {"d_head": 16},
    "funnel": {"block_sizes": [1, 1], "num_decoder_layers": 1},
    "longformer": {"attention_window": 8},
    "reformer": {"axial_pos_embds": False, "attn_layers": ["local", "local"], "is_decoder": True},
    "big_bird": {"attention_type": "original_full"},
    "bigbird_pegasus": {"attention_type": "original_full"},
    "led": {"attention_window": 8},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "gptj": {"rotary_dim": 8},
    "codegen": {"rotary_dim": 8},
    "gpt_neo": {"num_layers": 2, "attention_types": [[["global", "local"], 1]]},
    "deepseek_v2": {"topk_group": 1, "n_group": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 0},
    "axk1": {"num_key_value_heads": 2, "num_attention_heads": 2, "n_group": 1, "topk_group": 1},
    "mistral4": {"num_key_value_heads": 2, "n_group": 1, "topk_group": 1},
    "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16},
    "nemotron": {"num_key_value_heads": 2, "head_dim": 16},
    "ministral": {"head_dim": 16},
    "lilt": {"hidden_size": 36, "num_attention_heads": 2, "channel_shrink_ratio": 2},
    "luke": {"entity_vocab_size": 50, "entity_emb_size": 16},
    "mluke": {"entity_vocab_size": 50, "entity_emb_size": 16},
    "perceiver": {"num_latents": 8, "d_latents": 32, "num_self_attends_per_block": 2},
}
"""What some architectures need besides, in their own names."""


def write_model(kind: str, name: str, folder: Path) -> None:
    """A tiny random model of an architecture, with a tokenizer."""
    torch.manual_seed(0)
    settings_class = CONFIG_MAPPING[name]
    wanted = smaller(settings_class().to_dict()) | OWN.get(name, {})
    wanted.pop("model_type", None)
    if kind == "causal" and "is_decoder" in settings_class().to_dict():
        wanted["is_decoder"] = True
    settings = settings_class(**wanted)
    model = getattr(transformers, f"AutoModelFor{KINDS[kind][0]}").from_config(settings)
    size = sum(p.numel() for p in model.parameters())
    if size > 30_000_000:
        raise ValueError(f"still {size / 1e6:.0f} million weights")
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def built(kind: str, name: str, folder: Path) -> str:
    """Write a tiny model in a process with little memory, as some do not get tiny; "" or why it could not be done."""
    said = folder.with_name("problem")

    def do() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 6 << 30))
        try:
            write_model(kind, name, folder)
        except BaseException as error:
            said.write_text(f"{type(error).__name__}: {' '.join(str(error).split())[:150]}")
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=do)
    process.start()
    process.join(60)
    if process.exitcode is None:
        process.kill()
        process.join()
        return "it takes over a minute"
    if process.exitcode:
        return f"exit {process.exitcode}"
    return said.read_text() if said.is_file() else ""


def overrides(kind: str, folder: Path, work: Path) -> list[str]:
    """Few rows, two steps."""
    given = [f"model.name={folder}", "trainer.max_steps=2", "trainer.progress=false"]
    given += ["data.batch_size=4", "trainer=cpu", "evaluation.resamples=20", "trainer.checkpoint_every=1"]
    if kind == "classifier":
        rows = write_reviews(work / "rows.csv", 40)
        return ["recipe=review_sentiment", f"data.train={rows}", "data.label=label", "data.max_length=64", *given]
    given += ["recipe.max_new_tokens=3", "evaluation.max_generations=4"]
    if kind == "causal":
        rows = write_chats(work / "chats.jsonl", 24, rounds=1)
        return [
            "recipe=customer_chat",
            f"data.train={rows}",
            "data.max_length=256",
            "model.chat_template=plain",
            *given,
        ]
    return ["recipe=marketing_copy", "data.max_rows=24", "data.max_rejects=200", *given]


def command(arguments: Sequence[str], log: Path) -> int:
    """Do a command in a process of its own, forked from this one; its exit code."""

    def do() -> None:
        with log.open("a") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
            sys.argv = ["tunebook", *arguments]
            os.environ["COLUMNS"] = "1000"
            print("$", *arguments, flush=True)
            code = 0
            try:
                command_line()
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else 1
            sys.stdout.flush()
            os._exit(code or 0)

    process = multiprocessing.get_context("fork").Process(target=do)
    process.start()
    process.join(SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        return -1
    return int(process.exitcode)


def same_after_resume(run: Path, log: Path) -> str:
    """Whether a run that lost its end ends as it did; "" or what differs."""
    before = (run / "predictions.csv").read_bytes(), (run / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(run / "model")
    for name in ("predictions.csv", "report.html", "metrics.json"):
        (run / name).unlink()
    newest = max((run / "checkpoints").glob("step-*.ckpt"))
    newest.unlink() if newest.is_file() else shutil.rmtree(newest)
    if command(["train", f"resume={run}"], log):
        return f"resume: {said(log)}"
    after = (run / "predictions.csv").read_bytes(), (run / "model" / "model.safetensors").read_bytes()
    return "" if before == after else "another run after a resume"


def said(log: Path) -> str:
    """The message of the last command."""
    text = log.read_text(errors="replace").rpartition("$ ")[2]
    found = re.search(r"^error(?:\[[^\]]*\])?: (.*)$", text, re.M)
    return (found.group(1) if found else text.strip().splitlines()[-1]).strip()[:220]


def tried(kind: str, name: str, work: Path, quick: bool) -> dict[str, str]:
    """What came of an architecture, by adaptation."""
    folder = work / "model"
    work.mkdir(parents=True)
    os.environ["TUNEBOOK_CACHE"] = str(work / "cache")
    problem = built(kind, name, folder)
    if problem:
        return {"not built": problem}
    given, found = overrides(kind, folder, work), {}
    for method in ("full",) if quick else METHODS[kind]:
        found[method] = _by(method, [*given, f"adapt={method}"], work, train=not quick and method == "full")
    return found


def _by(method: str, given: Sequence[str], work: Path, train: bool) -> str:
    """What came of one adaptation: a run and its resume, or a check alone."""
    log, run = work / "log", work / method
    code = command(["train", *given, f"run_dir={run}"] if train else ["check", *given], log)
    text = log.read_text(errors="replace").rpartition("$ ")[2]
    if code == 2 and "training: adapt" not in text:
        return f"refused: {said(log)}"
    if code:
        return f"FAILS: exit {code}: {said(log)}"
    without = " without baseline" if "score: none" in text or "there is no" in text else ""
    differs = same_after_resume(run, log) if train else ""
    return f"FAILS: {differs}" if differs else f"works{without}"


TITLES = {
    "classifier": "As classifiers, in review_sentiment",
    "causal": "As language models, in customer_chat",
    "seq2seq": "With an encoder and a decoder, in marketing_copy",
}


def page(done: dict[str, dict[str, str]]) -> str:
    """The table as a page: what works, what is refused and why; and what could not be built so small."""
    lines = [
        "# Text architectures",
        "",
        *textwrap.wrap(
            "A tiny random model of every architecture that transformers can build as a classifier, a causal model or "
            "an encoder-decoder, through `check` by every adaptation, whose rehearsal compares the bundle with the "
            "model in memory, each row alone with beside others, and adapters merged with apart; and with `adapt=full` "
            "through `train`, and through a resume after it lost its end, which must end in the same bytes. What does "
            "not work is refused before training.",
            120,
        ),
        "",
        f"transformers {transformers.__version__}, torch {torch.__version__}; `benchmarks/text_architectures.py`.",
    ]
    left = sum(f"{kind}/{name}" not in done for kind, (_, names) in KINDS.items() for name in names)
    if left:
        lines += ["", f"{left} architectures are still to be tried."]
    for kind, title in TITLES.items():
        found = {model.partition("/")[2]: each for model, each in done.items() if model.startswith(f"{kind}/")}
        built = {name: each for name, each in found.items() if "not built" not in each}
        works = [name for name, each in built.items() if all(v.startswith("works") for v in each.values())]
        no = [name for name, each in built.items() if all(v.startswith("refused") for v in each.values())]
        lines += ["", f"## {title}", ""]
        lines += [
            f"{len(built)} architectures: {len(works)} work by every adaptation, {len(no)} are refused by all, "
            f"{len(built) - len(works) - len(no)} work by some.",
            "",
            "| architecture | " + " | ".join(METHODS[kind]) + " | reason |",
            "|---" * (len(METHODS[kind]) + 2) + "|",
        ]
        for name, each in sorted(built.items()):
            cells = [_cell(each.get(method, "")) for method in METHODS[kind]]
            lines.append(f"| {name} | {' | '.join(cells)} | {_reason(each)} |")
        if len(built) < len(found):
            lines += ["", f"Not tried, as no tiny one could be made: {', '.join(sorted(set(found) - set(built)))}."]
    return "\n".join(lines) + "\n"


def _cell(outcome: str) -> str:
    words = {"works": "yes", "refused": "no", "FAILS": "FAILS", "": ""}
    return words[outcome.partition(":")[0].partition(" ")[0]]


def _reason(each: dict[str, str]) -> str:
    reasons = {o.partition(": ")[2] for o in each.values() if ": " in o}
    reasons |= {"without a zero-shot score" for o in each.values() if o.endswith("without baseline")}
    plain = [re.sub(r"'/[^']*' ", "", reason).replace("Tried with a few rows, ", "").rstrip(".") for reason in reasons]
    return "; ".join(sorted(reason.replace("|", "\\|") for reason in plain))


def main() -> None:
    """Try all, print each, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="kind/name, such as classifier/bert")
    parser.add_argument("--results", type=Path, default=Path("runs/text_architectures.jsonl"))
    parser.add_argument("--quick", action="store_true", help="check alone, with all weights learning")
    parser.add_argument("--keep", type=Path, help="keep the folders with their logs here")
    parser.add_argument("--output", type=Path, help="page for the table")
    options = parser.parse_args()
    for module in LOADED:
        importlib.import_module(module)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    done: dict[str, dict[str, str]] = {}
    if options.results.is_file():
        for line in options.results.read_text().splitlines():
            entry = json.loads(line)
            done[entry["model"]] = entry["found"]
    todo = [f"{kind}/{name}" for kind, (_, names) in KINDS.items() for name in names]
    for model in options.only or todo:
        if model in done and not options.only:
            continue
        kind, _, name = model.partition("/")
        started = time.monotonic()
        scratch = (options.keep or Path(tempfile.mkdtemp())) / model.replace("/", "_")
        shutil.rmtree(scratch, ignore_errors=True)
        done[model] = tried(kind, name, scratch, options.quick)
        with options.results.open("a") as stream:
            stream.write(json.dumps({"model": model, "found": done[model]}) + "\n")
        print(f"{model} ({time.monotonic() - started:.0f} s): {done[model]}", flush=True)
        if not options.keep:
            shutil.rmtree(scratch.parent, ignore_errors=True)
    if options.output:
        options.output.write_text(page(done), encoding="utf-8")


if __name__ == "__main__":
    main()
