"""The report about written answers: what tuning changed, how surely, and the answers themselves side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.dialogues import (
    History,
    Systems,
    best_and_worst,
    helped_and_hurt,
    systems_of,
)
from tunebook.families.text_generation.metrics.disagreement import (
    SystemDisagreement,
    disagreeing_row,
    disagreeing_systems,
)
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
from tunebook.report.verdicts import Differences, verdict
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score

BASE = "before tuning"
"""Name of the same model before tuning."""
SPELLED = {"tuned": "the tuned model", "untuned": "the untuned model", BASE: "the untuned model"}
EXTREMES, CHANGED = 4, 2
"""Rows shown as best and as worst, as helped and as hurt."""
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
    watch: str,
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
) -> Report:
    """Put the evidence about a model that writes together.

    Args:
        title: Name of the recipe.
        tuned: What the model wrote on the test rows.
        scores: Model -> its scores; its own are among them, under its ``name``.
        watch: Name of the metric that the verdict begins with.
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

    Raises:
        ValueError: The models did not answer the same rows, or there is not one history a row.
    """
    ordered = {name: scores[name], **scores}
    compared = differences or {}
    systems = systems_of({name: tuned, **(answers or {})}, histories, lowercase, tokenize)
    texts, calls = _apart(ordered)
    sections: list[Section] = [scores_table(texts, _scores_notes(texts, signatures or {}), len(tuned), "answers")]
    if any(score.defined for each in texts.values() for score in each):
        sections.append(Figure("Scores and their intervals", figures.scores_with_intervals(texts)))
    sections += _call_sections(calls)
    sections += [_changes(other, ordered, found) for other, found in compared.items() if found]
    sections += own
    if notes:
        sections.append(Text("Notes", notes))
    sections += _overlap_sections(systems, compared, lowercase, tokenize)
    sections += [*_extremes(systems), *_helped(systems)]
    if history:
        sections.append(Figure("Learning curve", figures.learning_curve(history)))
    if split_counts:
        sections.append(counts_table("Splits", "what", split_counts))
    sections += facts_tables(data_facts, config_facts)
    return Report(title, subtitle, _verdict(ordered, compared, watch), sections)


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
    table = scores_table(calls, [_CALLS], should + should_not, f"turns with tools, {should} of them to be calls")
    return [replace(table, title="Tool calls")]


def _verdict(scores: Mapping[str, Sequence[Score]], differences: Differences, watch: str) -> list[str]:
    """Speak of the watched metric, then of overlap (BLEU, or chrF where there is none) and of facts."""
    (_, tuned), *rest = scores.items()
    others = dict(rest)
    defined = {score.name for score in tuned if score.defined}
    overlap = "bleu" if "bleu" in defined else "chrf"
    more = [metric for metric in (overlap, "fact_recall") if metric in defined and metric != watch]
    return [
        *verdict(tuned, others, differences, watch),
        *(" ".join(verdict(tuned, others, differences, metric)) for metric in more),
    ]


def _scores_notes(scores: Mapping[str, Sequence[Score]], signatures: Mapping[str, str]) -> list[str]:
    notes = [f"{show_name(name)}: {signature}." for name, signature in signatures.items()]
    if any(score.name == "perplexity" for each in scores.values() for score in each):
        notes.insert(0, "Perplexity is of the references, token by token, and compares models of one tokenizer only.")
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


def _extremes(systems: Systems) -> list[Section]:
    tuned, values = systems.answers[systems.first], systems.chrf(systems.first)
    note = (
        "By sentence-level chrF (0 to 100): it counts character n-grams, works for any script and is stable on short "
        "answers, where BLEU is not. It does not measure meaning either; read the answers before you judge."
    )
    if any(tuned.facts or []):
        note += " Required facts are counted too."
    if tuned.groups is not None:
        note += " No two of these answers are of one group (conversation, brief)."
    best, worst = (
        [systems.dialogue(row, f"chrF {values[row]:.1f}") for row in rows]
        for rows in best_and_worst(values, tuned.groups, EXTREMES)
    )
    named = (("Best answers", best, note), ("Worst answers", worst, "By sentence-level chrF, as above."))
    return [Dialogues(title, dialogues, caption) for title, dialogues, caption in named if dialogues]


def _helped(systems: Systems) -> list[Section]:
    if BASE not in systems.answers:
        return []
    before, after = systems.chrf(BASE), systems.chrf(systems.first)
    sides = helped_and_hurt(after - before, systems.answers[systems.first].groups, CHANGED)
    shown = [
        systems.dialogue(row, f"{word}: chrF {before[row]:.1f} to {after[row]:.1f}")
        for word, rows in zip(("Helped", "Hurt"), sides, strict=True)
        for row in rows
    ]
    note = "Selected by their difference in chrF, so they overstate it: the tables above cover all rows."
    if shown and not sides[1]:
        note += " No answer lost chrF."
    return [Dialogues("Where tuning helped and hurt most", shown, note)] if shown else []
