"""The report about written answers: what tuning changed, how surely, and the answers themselves side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.dialogues import BASE, History, Systems, systems_of
from tunebook.families.text_generation.metrics.disagreement import (
    SystemDisagreement,
    disagreeing_row,
    disagreeing_systems,
)
from tunebook.families.text_generation.metrics.shown_answers import extremes, helped, some_answers
from tunebook.families.text_generation.metrics.tool_calls import TOOL_MEASURES
from tunebook.report import figures
from tunebook.report.report import (
    BEST_AT,
    NOTHING,
    Cell,
    Dialogues,
    Figure,
    Report,
    Section,
    Table,
    Text,
    show_hint,
    show_interval,
    show_name,
    show_number,
    show_p,
)
from tunebook.report.tables import counts_table, facts_tables, scores_table
from tunebook.report.verdicts import Differences, verdict, winners
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score

SPELLED = {"tuned": "the tuned model", "untuned": "the untuned model", BASE: "the untuned model"}
NUMBERS = 5
"""Metrics that a reader sees before opening a table."""
UNJUDGED = ("distinct_1", "distinct_2")
"""More of these is different, not better: long answers have less of it."""

_OVERLAP = (
    "BLEU is the precision of n-grams of one to four words over all answers together, with a brevity penalty for "
    "answers shorter than their references; one misplaced word breaks every n-gram across it. ROUGE-L is computed per "
    "answer: the F1 of the longest common subsequence of words with the reference.",
    "Both compare words, not meaning or truth: a good paraphrase scores low, and one wrong digit in a price hardly "
    "changes the score.",
)
_CALLS = (
    "Of the turns whose reference is a call: {} is the share in which the model calls too, {} that with the same "
    "functions, {} that with equal arguments besides (as JSON values, exactly). Of the other turns with "
    "tools: {} is the share in which it calls nevertheless. Turns whose reference is a call are left out of all "
    "comparisons of texts."
).format(*map(show_name, TOOL_MEASURES))
_FACTS = " Hence fact recall: the share of the required facts that the answers state word for word."


def generation_report(
    title: str,
    tuned: GeneratedAnswers,
    scores: Mapping[str, Sequence[Score]],
    *,
    headline: Sequence[str],
    answers: Mapping[str, GeneratedAnswers] | None = None,
    differences: Differences | None = None,
    histories: Sequence[History] = (),
    signatures: Mapping[str, str] | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    split_counts: Mapping[str, Mapping[str, int]] | None = None,
    data_facts: Mapping[str, str] | None = None,
    config_facts: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    subtitle: str = "",
    lowercase: bool = False,
    tokenize: str = "13a",
    name: str = "tuned",
    own: Sequence[Section] = (),
    warnings: Sequence[str] = (),
) -> Report:
    """Put the evidence about a model that writes together.

    Args:
        title: Name of the recipe.
        tuned: What the model wrote on the test rows.
        scores: Model -> its scores; its own are among them, under its ``name``.
        headline: Names of the metrics that the task is about, the most telling first.
        answers: Another model ("before tuning", "template" ...) -> what it wrote on the same rows.
        differences: Another model -> metric -> its own minus the other's.
        histories: The turns before each answer, `[rows]`; without them the prompts are shown.
        signatures: Metric -> settings that give the same number elsewhere.
        history: Rows for `figures.learning_curve`.
        split_counts: Split -> what (conversations, answers, supervised tokens ...) -> how many.
        data_facts: What became of the rows: what -> how many.
        config_facts: Config key -> value.
        notes: Anything a reader must know, one paragraph each.
        subtitle: Model, adaptation, time: one line.
        lowercase: As for `overlap.bleu`; what the scores were made with.
        tokenize: As for `overlap.bleu`; what the scores were made with.
        name: What the model is called.
        own: Further sections about the scores.
        warnings: Sentences for the verdict, behind the baselines that win.

    Raises:
        ValueError: The models did not answer the same rows, or there is not one history a row.
    """
    ordered = {name: scores[name], **scores}
    compared = differences or {}
    systems = systems_of({name: tuned, **(answers or {})}, histories, lowercase, tokenize)
    texts, calls = _apart(ordered)
    defined = [score.name for score in texts[name] if score.defined]
    told = [metric for metric in headline if metric in defined][:NUMBERS]
    sections: list[Section] = [*some_answers(systems), *_numbers(texts, told, len(tuned)), *_call_sections(calls)]
    if notes:
        sections.append(Text("Notes", notes))
    if defined:
        sections.append(Figure("Scores and their intervals", figures.scores_with_intervals(texts)))
    details: list[Section] = [scores_table(texts, _scores_notes(texts, signatures or {}), len(tuned), "answers")]
    details += [_changes(other, ordered, found) for other, found in compared.items() if found]
    details += own
    details += _overlap_sections(systems, compared, lowercase, tokenize)
    details += [*extremes(systems), *helped(systems)]
    if history:
        details.append(Figure("Learning curve", figures.learning_curve(history)))
    if split_counts:
        details.append(counts_table("Splits", "what", split_counts))
    details += facts_tables(data_facts, config_facts)
    found = _verdict(ordered, compared, told or headline[:1], warnings)
    return Report(title, subtitle, found, sections, details)


Scores = Mapping[str, Sequence[Score]]


def _apart(scores: Scores) -> tuple[Scores, Scores]:
    """The scores of texts, and those of tool calls."""
    calls = {name: [score for score in each if score.name in TOOL_MEASURES] for name, each in scores.items()}
    texts = {name: [score for score in each if score.name not in TOOL_MEASURES] for name, each in scores.items()}
    return texts, calls


def _call_sections(calls: Scores) -> list[Section]:
    """How tools are called, where rows offer any."""
    if not any(calls.values()):
        return []
    counted = {score.name: score.n for each in calls.values() for score in each}
    should, should_not = counted.get(TOOL_MEASURES[0], 0), counted.get(TOOL_MEASURES[-1], 0)
    counts = f"turns with tools, {should} of them to be calls"
    return [scores_table(calls, [_CALLS], should + should_not, counts, title="Tool calls")]


def _verdict(
    scores: Mapping[str, Sequence[Score]], differences: Differences, metrics: Sequence[str], warnings: Sequence[str]
) -> list[str]:
    """Name the baselines that win, warn, then speak of what the task is about, one metric a paragraph."""
    (_, tuned), *rest = scores.items()
    others, first = dict(rest), metrics[0]
    return [
        *winners(tuned, {name: each for name, each in others.items() if name != BASE}, differences, metrics),
        *warnings,
        *verdict(tuned, others, differences, first),
        *(" ".join(verdict(tuned, others, differences, metric)) for metric in metrics[1:]),
    ]


def _numbers(scores: Mapping[str, Sequence[Score]], metrics: Sequence[str], rows: int) -> list[Section]:
    """The few numbers that matter; their full table is among the details."""
    few = {name: [score for score in each if score.name in metrics] for name, each in scores.items()}
    in_order = {name: sorted(each, key=lambda score: metrics.index(score.name)) for name, each in few.items()}
    return [scores_table(in_order, rows=rows, what="answers", title="The numbers that matter")] if metrics else []


def _scores_notes(scores: Mapping[str, Sequence[Score]], signatures: Mapping[str, str]) -> list[str]:
    notes = [f"{show_name(name)}: {signature}." for name, signature in signatures.items()]
    if any(score.name == "perplexity" for each in scores.values() for score in each):
        notes.insert(0, "Perplexity is of the references, token by token, and compares models of one tokenizer only.")
    if any(score.name == "bits_per_byte" for each in scores.values() for score in each):
        notes.insert(1, "Bits per byte is the same loss over the bytes of the references, for models of any tokenizer.")
    return notes


def _changes(other: str, scores: Mapping[str, Sequence[Score]], differences: Mapping[str, Difference]) -> Table:
    """Put the first model minus another for every metric in a table, with what the rows allow to be said of it."""
    first = next(iter(scores))
    known = {model: {score.name: score for score in scores.get(model, ())} for model in (first, other)}
    rows: list[list[Cell]] = []
    for name, difference in differences.items():
        score = known[first].get(name)
        values = [known[model][name].value if name in known[model] else None for model in (first, other)]
        rows.append(
            [
                show_name(name) + (show_hint(score) if score else ""),
                *values,
                _signed(difference.value),
                _unbroken(show_interval(difference.low, difference.high, _signed)),
                show_p(difference.p_value),
                _judgement(name, difference, score is None or score.higher_is_better),
            ]
        )
    title = "What tuning changed" if other == BASE else f"Against {other}"
    columns = ["metric", first, other, "difference", "interval", "p", "result"]
    return Table(title, columns, rows, _changes_note(differences))


def _changes_note(differences: Mapping[str, Difference]) -> str:
    confidence = next(iter(differences.values())).confidence
    note = (
        f"A difference is significant if its {100 * confidence:g} % CI excludes 0 and a permutation test (answers "
        f"swapped between the two at random) gives p below {1 - confidence:g}. Not corrected for the "
        f"{len(differences)} metrics tested."
    )
    unjudged = [show_name(name) for name in differences if name in UNJUDGED]
    return note + (f" Longer answers have a lower {' and '.join(unjudged)}, good or bad." if unjudged else "")


def _judgement(name: str, difference: Difference, higher_is_better: bool) -> str:
    if name in BEST_AT:
        return NOTHING
    if not difference.distinguishable:
        return "not significant"
    if name in UNJUDGED:
        return "significantly higher" if difference.value > 0 else "significantly lower"
    return "significantly better" if (difference.value > 0) == higher_is_better else "significantly worse"


def _signed(value: float) -> str:
    shown = show_number(float(value))
    return f"+{shown}" if value > 0 else shown


def _unbroken(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _overlap_sections(systems: Systems, differences: Differences, lowercase: bool, tokenize: str) -> list[Section]:
    """Say what BLEU and ROUGE measure, and show where they contradict each other."""
    tuned = systems.answers[systems.first]
    paragraphs = list(_OVERLAP)
    if any(tuned.facts or []):
        paragraphs[-1] += _FACTS
    spelled = {SPELLED.get(name, name): each for name, each in systems.answers.items()}
    opposed = disagreeing_systems(spelled, lowercase, tokenize)
    if opposed is not None:
        certainty = _certainty(opposed, SPELLED.get(systems.first, systems.first), differences)
        paragraphs.append(" ".join([*opposed.explain(), certainty]))
    sections: list[Section] = [Text("What BLEU and ROUGE see", paragraphs)]
    found = disagreeing_row(tuned, lowercase, tokenize)
    if found is not None:
        shown = systems.dialogue(found.row, "Furthest apart", " ".join(found.explain()))
        sections.append(Dialogues("Where BLEU and ROUGE disagree most", [shown]))
    return sections


def _certainty(opposed: SystemDisagreement, first: str, differences: Differences) -> str:
    """Say which of the two opposite gaps is significant, where that was tested."""
    pair = {opposed.by_bleu, opposed.by_rouge}
    other = next((name for name in differences if pair == {first, SPELLED.get(name, name)}), None)
    tested = differences[other] if other else {}
    if not {"bleu", "rouge_l"} <= set(tested):
        return "These gaps were not tested for significance."
    shown = [show_name(name) for name in ("bleu", "rouge_l") if tested[name].distinguishable]
    if len(shown) == 2:
        return "Both gaps are significant."
    return f"Only the gap in {shown[0]} is significant." if shown else "Neither gap is significant."
