"""What the family of recipes whose models write does for them, stage by stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import AdaptConfig, Method, Objective, TrainConfig
from tunebook.data.content import Content
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.module import FineTuneData
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.attempt import attempt
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared, called
from tunebook.families.stages import Stages
from tunebook.families.strata import Strata, resampling
from tunebook.families.text_generation import batches_chat, batches_seq2seq
from tunebook.families.text_generation.baselines import GenerationComparison
from tunebook.families.text_generation.batches_chat import conversation_data, preview
from tunebook.families.text_generation.batches_seq2seq import pair_data
from tunebook.families.text_generation.bundle import read_generator, ready, write_tuned
from tunebook.families.text_generation.chat.command import talk
from tunebook.families.text_generation.checks import check_options
from tunebook.families.text_generation.completion import Completion
from tunebook.families.text_generation.contract import baselines_of, evaluation_prompts_of, training_conversations_of
from tunebook.families.text_generation.data.lossy import lost_text
from tunebook.families.text_generation.data.pair_template import PairTemplate
from tunebook.families.text_generation.dry_run import dry_run
from tunebook.families.text_generation.evidence import GenerationEvidence
from tunebook.families.text_generation.forgetting import Forgetting, Probes
from tunebook.families.text_generation.generation_eval import HeldOut, encoded_rows, perform, written
from tunebook.families.text_generation.gguf.convert import check_gguf_installed, find_converter
from tunebook.families.text_generation.gguf.export import export_gguf
from tunebook.families.text_generation.metrics.dialogues import BASE
from tunebook.families.text_generation.model.causal import (
    adapt_causal,
    build_causal,
    load_writing,
    merge_causal,
    save_adapter,
)
from tunebook.families.text_generation.model.kinds import is_seq2seq
from tunebook.families.text_generation.model.tried import try_writing_model
from tunebook.families.text_generation.options import GenerationAdapt, GenerationEvaluation, GenerationScore
from tunebook.families.text_generation.predictor import TextGenerator
from tunebook.families.text_generation.preferences.encoding import (
    encode_preferences,
    preference_counts,
    preference_data,
    preview_preferences,
)
from tunebook.families.text_generation.preferences.evidence import judge_preferences
from tunebook.families.text_generation.preferences.task import PreferenceTask
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.models.source import ModelSource
from tunebook.run_folder import RunFolder
from tunebook.training.devices import choose_accelerator
from tunebook.training.fit import Fitted

Recipe = TextGeneration[Any]


def _said(recipe: Recipe, encoded: Encoded) -> Iterator[tuple[str, list[str]]]:
    """The place of each row of all splits, and what is read and written of it."""
    for rows in encoded.rows.values():
        for number, conversations in enumerate(training_conversations_of(recipe, rows)):
            yield rows.where(number), [turn.content for each in conversations for turn in each]


class GenerationStages(Stages[TextGeneration[Any]]):
    """A conversation in, the assistant's next turn out; a language model of transformers."""

    def encode(
        self, recipe: Recipe, data: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
    ) -> Encoded:
        """Token ids of all splits, each marked as supervised or not."""
        check_options(recipe, source, config)
        if isinstance(recipe, PreferenceTask):
            encoded = encode_preferences(data, source, config, rejects, recipe.whole)
        elif is_seq2seq(source):
            encoded = batches_seq2seq.encode_splits(recipe, data, source, config, rejects)
        else:
            encoded = batches_chat.encode_splits(recipe, data, source, config, rejects)
        dry_run(recipe, encoded, config)
        lost = lost_text(encoded.tokenizer.tokenizer, _said(recipe, encoded))
        return replace(encoded, facts={**encoded.facts, **lost})

    def preview(self, recipe: Recipe, encoded: Encoded) -> Sequence[Any]:
        """Three conversations with the supervised tokens in colour; or two preferences."""
        if isinstance(recipe, PreferenceTask):
            return preview_preferences(encoded, recipe.objective)
        return () if isinstance(encoded.tokenizer, PairTemplate) else preview(encoded, recipe.talks)

    def build_model(
        self, recipe: Recipe, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The language model as it is, its weights in float32 or, for QLoRA, in 4 bits."""
        return build_causal(source, config)

    def adapt(self, model: nn.Module, config: AdaptConfig) -> nn.Module:
        """Adapters find their layers by themselves; what is in 4 bits is made ready for them."""
        return adapt_causal(model, config)

    def training_data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """The model on conversations, packed where it can keep them apart; on pairs where an encoder reads."""
        if config.objective.name is not Objective.sft:
            return model, preference_data(model, encoded, source, config)
        make = pair_data if isinstance(encoded.tokenizer, PairTemplate) else conversation_data
        return model, make(model, encoded, config)

    def merge(self, model: nn.Module, source: ModelSource, config: TrainConfig, run: RunFolder) -> nn.Module:
        """As for others; the adapters alone are saved too."""
        save_adapter(model, source, run.adapter)
        return merge_causal(model, source, node_as(config.adapt, GenerationAdapt).quantize)

    def examine(self, model: nn.Module, encoded: Encoded) -> Mapping[str, str]:
        """Embeddings and padding."""
        return try_writing_model(model, encoded.tokenizer.tokenizer)

    def rehearses(self, config: TrainConfig) -> bool:
        """Not in 4 bits, which are for a GPU alone."""
        return not node_as(config.adapt, GenerationAdapt).quantize

    def rehearsed(self, recipe: Recipe) -> Recipe:
        """It writes a token or two."""
        copied = super().rehearsed(recipe)
        copied.options = replace(copied.options, max_new_tokens=min(copied.options.max_new_tokens, 2))
        if isinstance(copied, PreferenceTask):
            copied.whole = False
        return copied

    def write_bundle(
        self,
        prepared: Prepared[Recipe],
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        card: Mapping[str, Any],
    ) -> None:
        """A plain transformers folder with its template, and the adapters alone."""
        scores = [*card["scores"], *_validated_bits(prepared, fitted)]
        write_tuned(prepared, model, run, {**card, "scores": scores}, seen=fitted is not None)

    def open_bundle(self, recipe: Recipe, folder: Path, manifest: Manifest) -> TextGenerator:
        """The language model with its template."""
        return read_generator(recipe, folder, manifest)

    def judge(self, prepared: Prepared[Recipe], predictor: TextGenerator, run: RunFolder) -> GenerationEvidence:
        """The same model before tuning, and the recipe's baselines."""
        recipe, config, encoded = prepared.recipe, prepared.config, prepared.encoded
        if isinstance(recipe, PreferenceTask):
            return judge_preferences(prepared, predictor)
        device, progress = torch.device(choose_accelerator(config.trainer)), config.trainer.progress
        rows, train = encoded.rows["test"], encoded.rows["train"]
        wanted = node_as(config.evaluation, GenerationEvaluation)
        questions = evaluation_prompts_of(recipe, rows, wanted.max_generations)
        held_out = HeldOut.of(rows, encoded.splits["test"].items, questions, predictor)  # type: ignore[arg-type]
        tuned = perform(predictor, held_out, "on test rows", progress, device)
        notes = [*held_out.notes(len(evaluation_prompts_of(recipe, rows, None))), *tuned.notes()]
        others, missing = {}, dict[str, str]()
        forgetting, asks = None, wanted.forgetting and config.adapt.method not in (Method.scratch, Method.none)
        probes = Probes.of(predictor) if asks else None
        after = probes.losses(predictor, device) if probes else None
        predictor.model.cpu()
        if wanted.zero_shot and config.adapt.method is Method.scratch:
            notes.append(
                "adapt=scratch uses no pre-trained weights, so there is no model before tuning to compare with"
            )
        elif (wanted.zero_shot or probes) and config.adapt.method is not Method.none:
            with attempt(BASE, missing):
                before = ready(prepared, load_writing(prepared.source))
                if probes and after:
                    earlier = probes.losses(before, device)
                    forgetting = Forgetting(earlier, after, probes.kinds, resampling(config.evaluation, config.seed))
                if wanted.zero_shot:
                    others[BASE] = perform(before, held_out, "before tuning", progress, device)
        for name, texts in baselines_of(recipe, rows, held_out.questions.rows.tolist(), train).items():
            others[name] = written(held_out, [[Completion(text)] for text in texts])
        score, seed, name = config.evaluation, config.seed, called(config)
        strata = Strata.of(rows, score, seed)
        about: dict[str, Any] = {"notes": notes, "missing": missing, "strata": strata}
        return GenerationEvidence(
            recipe, held_out, tuned, others, score, seed, train, name, forgetting=forgetting, **about
        )

    def judge_new(
        self, recipe: Recipe, predictor: TextGenerator, rows: Rows, content: Content | None, config: EvaluateConfig
    ) -> GenerationEvidence:
        """The model alone."""
        rows, items, left_out = encoded_rows(rows, predictor)
        wanted = node_as(config.evaluation, GenerationScore).max_generations
        held_out = HeldOut.of(rows, items, evaluation_prompts_of(recipe, rows, wanted), predictor)
        tuned = perform(predictor, held_out, "on test rows", True, torch.device(choose_accelerator(config)))
        notes = [*left_out, *held_out.notes(len(evaluation_prompts_of(recipe, rows, None))), *tuned.notes()]
        score, strata = config.evaluation, Strata.of(rows, config.evaluation, config.seed)
        return GenerationEvidence(recipe, held_out, tuned, {}, score, config.seed, notes=notes, strata=strata)

    def split_counts(self, prepared: Prepared[Recipe]) -> Mapping[str, Any]:
        """Conversations, and supervised tokens."""
        if isinstance(prepared.recipe, PreferenceTask):
            return preference_counts(prepared.encoded, prepared.recipe.objective)
        return {
            name: {
                "conversations": len(prepared.encoded.rows[name]),
                "token rows": len(examples),
                "tokens": int(examples.lengths.sum()),
                "supervised tokens": int(examples.units.sum()) if examples.units is not None else 0,
            }
            for name, examples in prepared.encoded.splits.items()
        }

    def comparison(self, recipe: Recipe) -> GenerationComparison:
        """Answers without a model, and runs read back."""
        return GenerationComparison(recipe)

    def chat(self, recipe: Recipe, folder: Path, manifest: Manifest, options: Any) -> None:
        """Turn by turn."""
        talk(recipe, folder, manifest, options)

    def export_gguf(
        self, recipe: Recipe, folder: Path, manifest: Manifest, output: Path, precision: str, converter: str | None
    ) -> str:
        """By llama.cpp's own converter; its answers are compared with the bundle's."""
        script = find_converter(converter)
        check_gguf_installed()
        return export_gguf(self.open_bundle(recipe, folder, manifest), folder, manifest, output, precision, script)


def _validated_bits(prepared: Prepared[Recipe], fitted: Fitted | None) -> list[str]:
    """The perplexity of the chosen checkpoint as bits per byte of the validation answers, for the model card."""
    examples: Any = prepared.encoded.splits["validation"]
    if prepared.recipe.watch != "perplexity" or fitted is None or not fitted.best or examples.items.bytes is None:
        return []
    bits = math.log2(fitted.best) * int(examples.units.sum())
    return [f"bits_per_byte: {bits / int(examples.items.bytes.sum()):.4f}"]
