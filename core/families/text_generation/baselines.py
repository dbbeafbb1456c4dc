"""How models that write are compared: answers that need no model, and runs read back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tunebook.config.schema import TrainConfig
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared
from tunebook.families.text_generation.across_models import BETWEEN_MODELS, WHY, answers_of_all, rows_of_all
from tunebook.families.text_generation.checks import check_options
from tunebook.families.text_generation.completion import Completion
from tunebook.families.text_generation.contract import baselines_of, evaluation_prompts_of, generation_of
from tunebook.families.text_generation.evidence import GenerationEvidence
from tunebook.families.text_generation.generation_eval import HeldOut, written
from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.measures import measures
from tunebook.families.text_generation.metrics.nearest import NearestCopy
from tunebook.families.text_generation.metrics.perplexity import bits_per_byte, perplexity
from tunebook.families.text_generation.options import GenerationScore
from tunebook.families.text_generation.predictor import TextGenerator
from tunebook.families.text_generation.prompts import Prompts
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.files import write_json
from tunebook.report.files import lines_of
from tunebook.run_folder import RunFolder
from tunebook.statistics.outcomes import Outcome, sums_outcome
from tunebook.statistics.sums import RowSums

# chrF first: it reads any script, and is not 0 where no run of four words is right.
_METRICS = (
    "chrf",
    "bleu",
    "rouge_1",
    "rouge_2",
    "rouge_l",
    "exact_match",
    "fact_recall",
    "perplexity",
    "bits_per_byte",
)


_LIKELIHOODS = {"perplexity": ("tokens", perplexity), "bits_per_byte": ("bytes", bits_per_byte)}
"""Measures of the references' probability, with the column of ``losses.csv`` that each divides by."""


@dataclass(frozen=True)
class GenerationComparison:
    """The part of models that write in `compare`."""

    recipe: TextGeneration[Any]
    of_class: str = ""
    per_class: bool = False
    few_shot: Sequence[str] = ()
    row: str = "row"

    def metrics(self, labels: Sequence[str]) -> Sequence[str]:
        """What answers without a model have too, perplexity, and bits per byte."""
        return _METRICS

    def refuse(self, prepared: Prepared[Any], config: TrainConfig) -> None:
        """A language model has no head to learn alone; 4 bits are for LoRA."""
        check_options(self.recipe, prepared.source, config)

    def titles(self, prepared: Prepared[Any]) -> Mapping[str, str]:
        """The recipe's own answers without a model, or the most frequent answer and that to the nearest question."""
        rows, train = prepared.encoded.rows["test"], prepared.encoded.rows["train"]
        own = list(baselines_of(self.recipe, rows, [0], train))
        usual = ["the most frequent training answer", "the nearest question's answer"]
        found = [f"the {name}" for name in own[:2]] if len(own) > 1 else usual
        return dict(zip(("majority", "classical"), found, strict=True))

    def answer(self, rung: str, prepared: Prepared[Any], run: RunFolder) -> tuple[GenerationEvidence, dict[str, Any]]:
        """Answer the test rows without a model."""
        config, held_out = prepared.config, _held_out(self.recipe, prepared)
        rows, train = prepared.encoded.rows["test"], prepared.encoded.rows["train"]
        own = baselines_of(self.recipe, rows, held_out.questions.rows.tolist(), train)
        if len(own) > 1:
            texts = own[list(own)[0 if rung == "majority" else 1]]
        else:
            texts = _from_training(rung, evaluation_prompts_of(self.recipe, train, None), held_out.questions)
        run_folder = run.path / "baseline"
        run_folder.mkdir(exist_ok=True)
        write_json(run_folder / "answers.json", sorted(set(texts)))
        evidence = GenerationEvidence(
            self.recipe,
            held_out,
            written(held_out, [[Completion(text)] for text in texts]),
            {},
            config.evaluation,
            config.seed,
            train,
            rung,
            notes=held_out.notes(len(evaluation_prompts_of(self.recipe, rows, None))),
        )
        return evidence, {"trained_parameters": 0}

    def between_models(self, metric: str) -> str:
        """Bits per byte for perplexity, which goes with the tokenizer."""
        return BETWEEN_MODELS.get(metric, metric)

    def why_between_models(self, metric: str) -> str:
        """What a token is differs."""
        return WHY

    def common_rows(self, metric: str, models: Mapping[str, Prepared[Any]]) -> tuple[Rows, Sequence[str]]:
        """The test rows that all models are scored on; of losses with the same bytes."""
        rows, notes = rows_of_all(models, same_bytes=metric in _LIKELIHOODS)
        return rows, notes if metric in _LIKELIHOODS else [*notes, *answers_of_all(models)]

    def outcomes(self, metric: str, runs: Sequence[RunFolder], prepared: Prepared[Any]) -> Sequence[Outcome | None]:
        """The runs' losses, or the similarity of the answers that all of them gave to the references."""
        if metric in _LIKELIHOODS:
            return [_likelihood(run, prepared, metric) for run in runs]
        return [self._similarity(metric, answers) for answers in self._answers(runs, prepared)]

    def _similarity(self, metric: str, answers: GeneratedAnswers) -> Outcome | None:
        options = self.recipe.options
        found = measures(answers, options.lowercase, options.bleu_tokenizer).get(metric) if len(answers) else None
        if not isinstance(found, RowSums) or found.reason:
            return None
        return sums_outcome(found, answers.groups)

    def class_outcomes(self, run: RunFolder, prepared: Prepared[Any]) -> Mapping[str, Outcome]:
        """Answers have no classes."""
        return {}

    def _answers(self, runs: Sequence[RunFolder], prepared: Prepared[Any]) -> list[GeneratedAnswers]:
        """What each run wrote to the questions that all of them answered, with the references and groups of the rows.

        Runs of one model have answered the same ones.
        """
        questions = evaluation_prompts_of(self.recipe, prepared.encoded.rows["test"], None)
        turns = questions.turns or [0] * len(questions)
        places = {place: i for i, place in enumerate(zip(questions.files, questions.lines, turns, strict=True))}
        left_out = _left_out(prepared)
        written_by = [_written(run, places, left_out) for run in runs]
        by_all = sorted(set(places.values()).intersection(*written_by))
        asked = questions.take(by_all)
        texts = asked.texts
        return [asked.answered([answers[i] for i in by_all]).take(texts) for answers in written_by]


def _held_out(recipe: TextGeneration[Any], prepared: Prepared[Any]) -> HeldOut:
    """The questions that fit a model, found without loading it: its config says how long they may be."""
    from transformers import AutoConfig

    encoded, rows = prepared.encoded, prepared.encoded.rows["test"]
    sized: Any = SimpleNamespace(config=AutoConfig.from_pretrained(prepared.source.folder))
    writer = TextGenerator(sized, encoded.tokenizer, encoded.max_length, generation_of(recipe), recipe=recipe)
    questions = evaluation_prompts_of(
        recipe, rows, node_as(prepared.config.evaluation, GenerationScore).max_generations
    )
    items: Any = encoded.splits["test"].items
    return HeldOut.of(rows, items, questions, writer)


def _from_training(rung: str, known: Prompts, questions: Prompts) -> list[str]:
    """The most frequent training answer to everything, or to each question that of the most similar one."""
    if rung == "majority":
        counted = Counter(reference for references in known.references for reference in references)
        return [counted.most_common(1)[0][0]] * len(questions)
    known_questions = [history[-1].text for history in known.histories]
    nearest = NearestCopy(known_questions, [references[0] for references in known.references])
    return nearest.write([history[-1].text for history in questions.histories])


def _left_out(prepared: Prepared[Any]) -> set[tuple[str, int]]:
    """Test rows that not every model is scored on; of a single model, those that it is not."""
    return set(prepared.data.test.places).difference(prepared.encoded.rows["test"].places)


def _written(
    run: RunFolder, places: Mapping[tuple[str, int, int], int], left_out: Container[tuple[str, int]]
) -> dict[int, str]:
    """A run's answers by the number of their question.

    Raises:
        UserError: One is to no question, nor to a row that is left out.
    """
    found: dict[int, str] = {}
    with lines_of(run.predictions) as lines:
        for line in lines:
            row = line["file"], int(line["line"])
            number = places.get((*row, int(line.get("turn", 0))))
            if number is not None:
                found[number] = line["answer"]
            elif row not in left_out:
                raise _other_rows("answers", run.predictions)
    return found


def _likelihood(run: RunFolder, prepared: Prepared[Any], metric: str) -> Outcome | None:
    """A run's losses by a measure; None where it has none, or an earlier version wrote no divisor."""
    if not run.losses.is_file():
        return None
    over, measure = _LIKELIHOODS[metric]
    rows, left_out = prepared.encoded.rows["test"], _left_out(prepared)
    with lines_of(run.losses) as found:
        if any(over not in line for line in found):
            return None
        lines = [line for line in found if (line["file"], int(line["line"])) not in left_out]
        places = [(line["file"], int(line["line"])) for line in lines]
        losses, units = ([float(line[name]) for line in lines] for name in ("loss", over))
    if places != rows.places:
        raise _other_rows("losses", run.losses)
    return sums_outcome(measure(losses, units), rows.groups)


def _other_rows(what: str, file: Path) -> UserError:
    return UserError(
        f"These {what} are about other rows.", code="run.other-rows", where=str(file), fix="repeat the run"
    )
