"""What is known of a tagger on test rows, with baselines that need no model; and its part in `compare`."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunebook import UserError
from tunebook.config.schema import Method
from tunebook.families.sums_comparison import SumsComparison
from tunebook.families.sums_evidence import SumsEvidence
from tunebook.files import written_whole
from tunebook.report import figures
from tunebook.report.report import Cell, Figure, Report, Section, Table
from tunebook.statistics.label_scores import LabelScores
from tunebook.statistics.sums import RowSums

from .spans import Tags, measures, spans

if TYPE_CHECKING:
    from tunebook.config.schema import TrainConfig
    from tunebook.families.prepared import Prepared
    from tunebook.run_folder import RunFolder

    from .recipe import EntityTagging

Lines = Sequence[Mapping[str, str]]
MISTAKES = 15


@dataclass(frozen=True, kw_only=True)
class TaggingEvidence(SumsEvidence):
    """Tags of a model and of its baselines for the same sentences, the model's own first."""

    answers: Mapping[str, Sequence[Tags]]

    @property
    def truth(self) -> list[Tags]:
        """The true tags."""
        return [tags.split() for tags in self.rows.texts("tags")]

    def measures(self) -> Mapping[str, Mapping[str, RowSums]]:
        """F1, precision and recall of each model."""
        return {name: measures(self.truth, each) for name, each in self.answers.items()}

    def classes(self) -> list[LabelScores]:
        """Scores of each kind of name."""
        found = []
        for kind in self.recipe.options.entities:
            each = measures(self.truth, next(iter(self.answers.values())), kind)
            f1, precision, recall = map(self.score, each.values())
            found.append(LabelScores(kind, int(each["recall"].sums[:, 1].sum()), precision, recall, f1))
        return found

    def sections(self) -> Sequence[Section]:
        """Each kind of name, with a picture; the worst mistakes."""
        kinds, answers, texts = self.classes(), next(iter(self.answers.values())), self.rows.texts("text")
        wrong = [len(spans(true) ^ spans(answer)) for true, answer in zip(self.truth, answers, strict=True)]
        worst = sorted(filter(wrong.__getitem__, range(len(wrong))), key=wrong.__getitem__, reverse=True)[:MISTAKES]
        lines = [[self.rows.where(i), texts[i], " ".join(self.truth[i]), " ".join(answers[i])] for i in worst]
        cells: list[list[Cell]] = [[each.label, each.n, each.precision, each.recall, each.f1] for each in kinds]
        drawn = figures.scores_with_intervals({each.label: [each.f1] for each in kinds if each.f1.defined})
        note = f"{sum(map(bool, wrong))} of {len(wrong)} sentences have a name that is missed, cut or made up."
        return [
            Table("Kinds of names", ["kind", "names", "precision", "recall", "F1"], cells),
            Figure("F1 of each kind", drawn),
            Table("Worst mistakes", ["row", "sentence", "truth", "predicted"], lines, note),
        ]

    def write(self, run: RunFolder, report: Report) -> None:
        """Also predictions.csv."""
        super().write(run, report)
        answers = map(" ".join, next(iter(self.answers.values())))
        columns = [self.rows.column(role).to_pylist() for role in ("file", "line", "text", "tags")]
        with written_whole(run.predictions) as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["file", "line", "text", "truth", "prediction"])
            writer.writerows(zip(*columns, answers, strict=True))


def baseline(rung: str, prepared: Prepared[EntityTagging]) -> list[list[str]]:
    """The test rows without a model: no names at all ("majority"), or those of the training rows ("classical")."""
    train, seen = prepared.encoded.rows["train"], dict[tuple[str, ...], Counter[str]]()
    for text, tags in zip(train.texts("text"), train.texts("tags"), strict=True):
        for kind, start, end in spans(tags.split()) if rung == "classical" else ():
            seen.setdefault(tuple(text.split()[start:end]), Counter())[kind] += 1
    return [memorised(text.split(), seen) for text in prepared.encoded.rows["test"].texts("text")]


def memorised(words: Sequence[str], seen: Mapping[tuple[str, ...], Counter[str]]) -> list[str]:
    """Tags of the names in a sentence that are known, each as it mostly was; the longest first."""
    tags, place = ["O"] * len(words), 0
    while place < len(words):
        ends = range(min(len(words), place + max(map(len, seen), default=0)), place, -1)
        end = next((end for end in ends if tuple(words[place:end]) in seen), place)
        for i in range(place, end):
            kind = seen[tuple(words[place:end])].most_common(1)[0][0]
            tags[i] = f"{'I' if i > place else 'B'}-{kind}"
        place = max(end, place + 1)
    return tags


class TaggingComparison(SumsComparison):
    """The part of taggers in `compare`."""

    def refuse(self, prepared: Prepared[Any], config: TrainConfig) -> None:
        """A tagger has no use before it is trained."""
        if config.adapt.method is Method.none:
            raise UserError("a tagger needs training", code="config.no-effect")

    def titles(self, prepared: Prepared[Any]) -> Mapping[str, str]:
        """What the baselines are."""
        return {"majority": "no names at all", "classical": "names of the training rows, memorised"}

    def baseline(self, rung: str, prepared: Prepared[EntityTagging]) -> TaggingEvidence:
        """The test rows without a model."""
        config, rows, answers = prepared.config, prepared.encoded.rows["test"], {rung: baseline(rung, prepared)}
        return TaggingEvidence(prepared.recipe, rows, config.evaluation, config.seed, answers=answers)

    def measures(self, lines: Lines, prepared: Prepared[EntityTagging], kind: str | None = None) -> dict[str, RowSums]:
        """F1, precision and recall of whole names; of one kind, or all."""
        truth, answers = ([line[column].split() for line in lines] for column in ("truth", "prediction"))
        return measures(truth, answers, kind)

    def class_measures(self, lines: Lines, prepared: Prepared[EntityTagging]) -> dict[str, RowSums]:
        """F1 of each kind of name."""
        kinds = prepared.recipe.options.entities
        return {kind: self.measures(lines, prepared, kind)["f1"] for kind in kinds}
