from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sacrebleu

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.dialogues import best_and_worst, helped_and_hurt
from tunebook.families.text_generation.metrics.differences import paired_differences
from tunebook.families.text_generation.metrics.measures import score_answers, signatures
from tunebook.families.text_generation.metrics.report import generation_report
from tunebook.report.report import Dialogues, Report, Section, Table, Text, render
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score

Make = Callable[..., GeneratedAnswers]
QUICK = {"resamples": 60}


def _report(tuned: GeneratedAnswers, others: Mapping[str, GeneratedAnswers], **more: Any) -> Report:
    perplexity = Score("perplexity", 40.0, 36.0, 45.0, 30, higher_is_better=False)
    scores = {name: score_answers(each, **QUICK) for name, each in others.items()}
    scores["tuned"] = [perplexity, *score_answers(tuned, **QUICK)]
    if "before tuning" in scores:
        scores["before tuning"].insert(0, replace(perplexity, value=400.0, low=380.0, high=420.0))
    differences = {name: paired_differences(tuned, each, **QUICK) for name, each in others.items()}
    settings = {
        "headline": ("perplexity", "bleu", "chrf", "fact_recall"),
        "answers": others,
        "differences": differences,
        **more,
    }
    return generation_report("customer_chat", tuned, scores, **settings)


def _sections(report: Report) -> dict[str, Section]:
    return {section.title: section for section in (*report.sections, *report.details)}


def _dialogues(report: Report, title: str) -> Dialogues:
    section = _sections(report)[title]
    assert isinstance(section, Dialogues)
    return section


def _rows(section: Dialogues) -> list[int]:
    """The rows shown, by the line that their headings end with; lines count from 1."""
    return [int(dialogue.heading.rpartition(":")[2]) - 1 for dialogue in section.dialogues]


def test_a_report_holds_every_piece_of_evidence(make_answers: Make) -> None:
    tuned = make_answers(30)
    others = {"before tuning": make_answers(30, outputs_seed=4), "template": replace(tuned, outputs=["the end"] * 30)}
    found = _report(
        tuned,
        others,
        signatures=signatures(tuned),
        history=[{"step": 1, "train_loss": 3.0}, {"step": 2, "train_loss": 2.0, "perplexity": 9.0}],
        split_counts={"train": {"conversations": 90, "answers": 180}, "test": {"answers": 30}},
        data_facts={"rows read": "120"},
        config_facts={"optim.lr": "0.0001"},
        notes=["2 conversations were cut."],
    )
    assert [title for title in _sections(found) if title != "Where BLEU and ROUGE disagree most"] == [
        "Answers",
        "The numbers that matter",
        "Notes",
        "Scores and their intervals",
        "Scores",
        "What tuning changed",
        "Against template",
        "What BLEU and ROUGE see",
        "Best answers",
        "Worst answers",
        "Where tuning helped and hurt most",
        "Learning curve",
        "Splits",
        "Data",
        "Configuration",
    ]
    scores, splits = _sections(found)["Scores"], _sections(found)["Splits"]
    assert isinstance(scores, Table) and isinstance(splits, Table)
    assert list(scores.columns) == ["metric", "tuned", "before tuning", "template", "interval by"]
    assert [row[0] for row in scores.rows[:2]] == ["perplexity (lower is better)", "BLEU (0 to 100)"]
    assert scores.rows[0][3] is None
    assert "30 answers" in scores.note and f"BLEU: {signatures(tuned)['bleu']}." in scores.note
    assert [list(row) for row in splits.rows] == [["conversations", 90, 0], ["answers", 180, 30]]
    page = render(found)
    assert "2 conversations were cut." in page and "0.0001" in page


def _change(value: float, reach: float, p_value: float) -> Difference:
    low, high = value - reach, value + reach
    return Difference(value, low, high, 30, distinguishable=abs(value) > reach and p_value < 0.05, p_value=p_value)


CHANGES = {
    "perplexity": _change(-360.0, 20.0, 0.0005),
    "bleu": _change(2.0, 3.0, 0.2),
    "rouge_l": _change(-0.1, 0.02, 0.01),
    "fact_recall": _change(0.25, 0.1, 0.004),
    "length_ratio": _change(0.4, 0.1, 0.0005),
    "distinct_1": _change(-0.4, 0.1, 0.001),
}


def test_only_what_the_rows_show_is_called_a_change(make_answers: Make) -> None:
    others = {"before tuning": make_answers(30, outputs_seed=4)}
    found = _report(make_answers(30), others, differences={"before tuning": CHANGES})
    table = _sections(found)["What tuning changed"]
    assert isinstance(table, Table)
    assert {str(row[0]): row[-1] for row in table.rows} == {
        "perplexity (lower is better)": "significantly better",
        "BLEU (0 to 100)": "not significant",
        "ROUGE-L": "significantly worse",
        "fact recall": "significantly better",
        "length ratio (best at 1)": "\N{EN DASH}",
        "distinct-1": "significantly lower",
    }
    perplexity, bleu = ([str(cell).replace("\N{NO-BREAK SPACE}", " ") for cell in row] for row in table.rows[:2])
    assert perplexity[1:6] == ["40.0", "400.0", "-360.0", "-380.0 to -340.0", "< 0.001"]
    assert bleu[3:6] == ["+2.000", "-1.000 to +5.000", "0.200"]
    assert "Longer answers have a lower distinct-1, good or bad." in table.note


def test_the_verdict_begins_with_what_is_watched_and_claims_no_more_than_is_shown(make_answers: Make) -> None:
    tuned = make_answers(30)
    others = {"before tuning": make_answers(30, outputs_seed=4), "template": make_answers(30, outputs_seed=9)}
    watched, base, bleu, _, facts = _report(tuned, others, differences={"before tuning": CHANGES}).verdict
    assert watched == "Perplexity (lower is better) 40.00 (95 % CI 36.00 to 45.00, n = 30)."
    assert base.startswith("Compared with 400 for the same model before tuning, 360 better (95 % CI 340 to 380;")
    assert bleu.startswith("BLEU (0 to 100) ") and "not significant" in bleu and "better" not in bleu
    assert "for template: not tested for significance." in bleu
    assert facts.startswith("Fact recall ") and "0.25 better (95 % CI 0.15 to 0.35;" in facts


def test_a_baseline_that_wins_is_named_first(make_answers: Make) -> None:
    tuned = make_answers(30)
    others = {"before tuning": make_answers(30, outputs_seed=4), "template": make_answers(30, outputs_seed=9)}
    lost = {"fact_recall": _change(-0.4, 0.1, 0.001), "chrf": _change(3.0, 1.0, 0.001), "bleu": _change(-1.0, 3.0, 0.4)}
    found = _report(tuned, others, differences={"template": lost, "before tuning": lost})
    facts = [
        next(score.value for score in score_answers(model, **QUICK) if score.name == "fact_recall")
        for model in (others["template"], tuned)
    ]
    assert found.verdict[0] == (
        f"The template beats the tuned model: fact recall {facts[0]:.2f} to {facts[1]:.2f}. "
        "The tuned model is better in chrF."
    )
    assert found.verdict[1].startswith("Perplexity")
    won = _report(tuned, others, differences={"template": {"chrf": lost["chrf"]}, "before tuning": lost})
    assert won.verdict[0].startswith("Perplexity")


def test_a_report_begins_with_answers_and_few_numbers(make_answers: Make) -> None:
    tuned, before = make_answers(40), make_answers(40, outputs_seed=4)
    found = _report(tuned, {"before tuning": before, "template": make_answers(40, outputs_seed=9)})
    first, numbers = found.sections[:2]
    assert isinstance(first, Dialogues) and isinstance(numbers, Table)
    values = [
        sacrebleu.CHRF().sentence_score(*pair).score for pair in zip(tuned.outputs, tuned.references, strict=True)
    ]
    rows = _rows(first)
    shown = [values[row] for row in rows]
    assert len(rows) == len(set(rows)) == 5 and shown == sorted(shown, reverse=True)
    assert shown[0] == pytest.approx(max(values)) and shown[-1] == pytest.approx(min(values))
    for row, dialogue in zip(rows, first.dialogues, strict=True):
        assert [answer.who for answer in dialogue.answers] == ["reference", "tuned", "before tuning"]
        assert dialogue.answers[2].text == before.outputs[row]
    names = [str(row[0]).split(" (")[0] for row in numbers.rows]
    assert names == ["perplexity", "BLEU", "chrF", "fact recall"] and list(numbers.columns[1:4]) == [
        "tuned",
        "before tuning",
        "template",
    ]
    page = render(found)
    assert page.index("<h2>Answers</h2>") < page.index("<h2>The numbers that matter</h2>") < page.index("<details>")
    assert page.count("<details>") == len(found.details) and "<summary>Scores</summary>" in page


def test_where_bleu_is_undefined_chrf_speaks(plain_answers: Make) -> None:
    tuned = plain_answers(["注文は火曜日", "返金"], [["注文は水曜日"], ["返金します"]])
    found = _report(tuned, {})
    assert [sentence.split(" ")[0] for sentence in found.verdict] == ["Perplexity", "chrF"]
    card = _dialogues(found, "Best answers").dialogues[0].answers[1]
    assert card.note.startswith("chrF ") and "BLEU" not in card.note and "ROUGE" not in card.note
    assert "<table>" in render(found)


def test_best_and_worst_are_those_of_sentence_chrf(make_answers: Make) -> None:
    tuned = replace(make_answers(40), groups=None)
    metric = sacrebleu.CHRF()
    pairs = zip(tuned.outputs, tuned.references, strict=True)
    values = [metric.sentence_score(output, references).score for output, references in pairs]
    order = sorted(range(40), key=lambda row: -values[row])
    found = _report(tuned, {})
    best, worst = (_dialogues(found, f"{which} answers") for which in ("Best", "Worst"))
    assert [values[row] for row in _rows(best)] == pytest.approx([values[row] for row in order[:4]])
    assert [values[row] for row in _rows(worst)] == pytest.approx([values[row] for row in order[:-5:-1]])
    for section in (best, worst):
        for row, dialogue in zip(_rows(section), section.dialogues, strict=True):
            reference, answer = dialogue.answers
            assert reference.text in tuned.references[row] and answer.text == tuned.outputs[row]
            assert f"chrF {values[row]:.1f}" in dialogue.heading
            assert list(dialogue.turns) == [("user", tuned.prompts[row])]
    assert "Where tuning helped and hurt most" not in _sections(found)


def test_a_list_has_a_group_once_and_no_row_is_on_both_sides() -> None:
    values, groups = np.array([9.0, 8.0, 7.0, 1.0, 2.0, 3.0]), np.array(list("aabbcc"))
    assert best_and_worst(values, groups, 4) == ([0, 2, 5], [3, 4, 1])
    assert best_and_worst(values, None, 2) == ([0, 1], [3, 4])
    assert best_and_worst(values[:3], None, 4) == ([0, 1], [2])
    assert best_and_worst(values[:1], None, 4) == ([0], [])
    assert best_and_worst(values[:0], None, 4) == ([], [])


def test_rows_that_changed_most_are_found_on_either_side() -> None:
    change, groups = np.array([5.0, 4.0, 0.0, -1.0, -3.0, 2.0]), np.array(list("aabbcd"))
    assert helped_and_hurt(change, groups, 2) == ([0, 5], [4, 3])
    assert helped_and_hurt(-np.abs(change), None, 2) == ([], [0, 1])


def test_where_tuning_helped_and_hurt_is_shown_with_both_answers(plain_answers: Make) -> None:
    references = [[f"the parcel {i} comes on Tuesday"] for i in range(5)]
    right = [references[i][0] for i in range(5)]
    tuned = plain_answers([*right[:3], "no", right[4]], references)
    before = plain_answers(["", "the parcel", right[2], right[3], right[4]], references)
    section = _dialogues(_report(tuned, {"before tuning": before}), "Where tuning helped and hurt most")
    assert [dialogue.heading for dialogue in section.dialogues] == [
        "Helped: chrF 0.0 to 100.0 · rows.jsonl:0",
        f"Helped: chrF {sacrebleu.CHRF().sentence_score('the parcel', references[1]).score:.1f} to 100.0 "
        "· rows.jsonl:1",
        f"Hurt: chrF 100.0 to {sacrebleu.CHRF().sentence_score('no', references[3]).score:.1f} · rows.jsonl:3",
    ]
    first = section.dialogues[0].answers
    assert [(answer.who, answer.text) for answer in first] == [
        ("reference", right[0]),
        ("tuned", right[0]),
        ("before tuning", ""),
    ]
    assert "No answer lost chrF" not in section.note
    kinder = _dialogues(_report(replace(tuned, outputs=right), {"before tuning": before}), section.title)
    assert kinder.note.endswith("No answer lost chrF.")
    assert "Where tuning helped and hurt most" not in _sections(_report(tuned, {"before tuning": tuned}))


def test_facts_and_the_nearest_reference_stand_beside_an_answer(plain_answers: Make) -> None:
    facts = [["£42", "on Tuesday"], []]
    references = [["nothing alike at all", "you get £42 on Tuesday"], ["yes"]]
    tuned = plain_answers(["you get £42 today", "yes"], references, facts=facts)
    found = _report(tuned, {})
    cards = [
        dialogue.answers for title in ("Best", "Worst") for dialogue in _dialogues(found, f"{title} answers").dialogues
    ]
    short, long = cards
    assert (long[0].text, long[0].note) == ("you get £42 on Tuesday", "the nearest of 2")
    assert long[1].note.endswith("facts 1 of 2 (not “on Tuesday”)")
    bleu = sacrebleu.BLEU(effective_order=True).sentence_score(tuned.outputs[0], references[0]).score
    assert f"BLEU {bleu:.1f}, ROUGE-L 0.667, " in long[1].note  # 3 words of 4 and of 5: 2 * 3 / 9
    assert (short[0].note, "facts" in short[1].note) == ("", False)
    prose = _sections(found)["What BLEU and ROUGE see"]
    assert isinstance(prose, Text) and "fact recall" in prose.paragraphs[-1]


def test_what_led_to_an_answer_is_shown_in_its_last_turns(plain_answers: Make) -> None:
    tuned = plain_answers(["yes <b>", "no"], [["yes"], ["no"]])
    long = [("user", f"turn {i}") for i in range(11)]
    found = _report(tuned, {}, histories=[[("system", "be kind"), ("user", "<script>" + "x" * 3000)], long])
    shown = {
        row: dialogue
        for title in ("Best answers", "Worst answers")
        for row, dialogue in zip(_rows(_dialogues(found, title)), _dialogues(found, title).dialogues, strict=True)
    }
    few, many = shown[-1].turns, shown[0].turns  # the rows of `plain_answers` begin at line 0
    assert few[0] == ("system", "be kind") and few[1][1].endswith("…") and len(few[1][1]) <= 1500
    assert list(many) == [("not shown", "3 earlier turns"), *long[3:]]
    page = render(found)
    assert "<script" not in page and "yes &lt;b&gt;" in page


def test_a_contradiction_of_bleu_and_rouge_is_shown_and_told(plain_answers: Make) -> None:
    reference = "a b c d e f g h i j k l"
    tuned = plain_answers(["a b c d e", "a b x d e x g h x j k x"], [[reference]] * 2)
    broken = replace(tuned, outputs=["a b x d e x g h x j k x"] * 2)
    found = _report(tuned, {"before tuning": broken})
    (row,) = _dialogues(found, "Where BLEU and ROUGE disagree most").dialogues
    assert row.heading.endswith("rows.jsonl:0") and "brevity penalty 0.25" in row.note
    prose = _sections(found)["What BLEU and ROUGE see"]
    assert isinstance(prose, Text)
    assert "BLEU ranks the tuned model above the untuned model (" in prose.paragraphs[-1]
    assert prose.paragraphs[-1].endswith("Neither gap is significant.")
    untested = _sections(_report(tuned, {"before tuning": broken}, differences={}))["What BLEU and ROUGE see"]
    assert isinstance(untested, Text) and untested.paragraphs[-1].endswith("not tested for significance.")


def test_no_test_rows_make_a_report_that_says_so(plain_answers: Make) -> None:
    nothing = plain_answers([], [])
    scores = {"tuned": score_answers(nothing, **QUICK)}
    found = generation_report("customer_chat", nothing, scores, headline=["bleu"])
    assert found.verdict == ["BLEU is undefined on these test rows: there are no rows."]
    assert "Best answers" not in _sections(found) and "<table>" in render(found)


def test_other_rows_are_refused(make_answers: Make) -> None:
    tuned = make_answers(6)
    scores = {"tuned": score_answers(tuned, **QUICK)}
    with pytest.raises(ValueError, match="same rows"):
        generation_report("t", tuned, scores, headline=["bleu"], answers={"before tuning": make_answers(8)})
    with pytest.raises(ValueError, match="2 histories do not belong to 6 rows"):
        generation_report("t", tuned, scores, headline=["bleu"], histories=[[], []])
