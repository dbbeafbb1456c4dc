"""The data gate: rows come out read, checked, compared and split, or the run stops here, before any model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from tunebook.config.schema import DataConfig, LabelledDataConfig
from tunebook.config.texts import ListedLabelsDataConfig, takes_votes
from tunebook.data.categories import check_categories, rarest_values
from tunebook.data.columns import Column, first_role
from tunebook.data.content import Content, compare
from tunebook.data.file_source import file_source
from tunebook.data.label_sets import LabelSets
from tunebook.data.labels import Labels, absence_notes, comma_notes, count_labels, find_labels
from tunebook.data.leaks import Leak, guard
from tunebook.data.paths import resolve_paths, short_names
from tunebook.data.personal_rows import PersonalRows, count_personal
from tunebook.data.reading import Invalid, read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.data.sources import SAMPLES, SPLITS, sources_of
from tunebook.data.split_column import check_parts, counted, parted
from tunebook.data.splits import split
from tunebook.data.text_template import empty_notes
from tunebook.errors import UserError

__all__ = ["SAMPLES", "ValidatedData", "load_and_validate", "read_rows"]


@dataclass(frozen=True)
class ValidatedData:
    """Everything the gate lets through, and what it found: kept + rejected + dropped = read.

    Attributes:
        train: Training rows, after ``data.shots`` or ``data.max_rows``.
        validation: Validation rows, given or split off.
        test: Test rows, given or split off.
        labels: Label names and counts; None for a recipe without labels.
        read: Rows read from all sources.
        kept: Good rows, among them the ``unused``.
        rejected: Rows that cannot be used.
        dropped: Good rows left out by the leak guard.
        leaks: What the given splits share, dropped or not.
        notes: What was done and seen, to be shown.
        source: Where the rows are from: `SAMPLES` or the paths.
        unused: Good training rows that ``data.shots`` or ``data.max_rows`` does not take.
        content: What the rows hold beside their text.
        unread: What the sources hold and nothing reads: what -> names with their counts.
        personal: Personal data in the rows of all splits; None where nobody looked for it.
    """

    train: Rows
    validation: Rows
    test: Rows
    labels: Labels | None
    read: int
    kept: int
    rejected: int
    dropped: int
    leaks: tuple[Leak, ...]
    notes: tuple[str, ...]
    source: str
    unused: int = 0
    content: Any = None
    unread: Mapping[str, str] = field(default_factory=dict)
    personal: PersonalRows | None = None

    def __post_init__(self) -> None:
        """Hold the books together: no row goes in silence."""
        assert self.kept + self.rejected + self.dropped == self.read
        assert len(self.train) + len(self.validation) + len(self.test) + self.unused == self.kept


def load_and_validate(
    config: DataConfig,
    columns: Sequence[Column],
    *,
    samples: Mapping[str, Path] | None,
    invalid: Invalid | None,
    rejects: RejectLog,
    seed: int,
    content: Content | None = None,
    progress: bool = False,
) -> ValidatedData:
    """Read, check, compare and split the rows of a run.

    Args:
        config: The ``data`` part of the config.
        columns: What the recipe reads. The first required "text" column makes two rows alike, splits are
            stratified by the first required "label" column, by which labels a row has of several ("flag" columns, or
            one of "labels") or by the rarest value of the "category" columns, rows alike in the role "group" stay
            together.
        samples: The recipe's own rows by split, used when ``data.train`` is not set.
        invalid: The recipe's own check of a row.
        rejects: Takes the bad rows; written whenever there are any.
        seed: Of the split and of the rows drawn.
        content: What the rows hold beside their text: looked at, and compared in its place.
        progress: Show on a terminal how far it is.

    Raises:
        UserError: Anything about the rows that the user must fix first.
    """
    sources, source, said = sources_of(config, samples, columns)
    text, label = first_role(columns, "text"), first_role(columns, "label")
    several = LabelSets.of(columns)
    categories = [column for column in columns if column.kind == "category" and column.required]
    group = next((column.role for column in columns if column.role == "group"), None)
    with _shown(progress) as show:
        given = _read_all(sources, config, columns, invalid, rejects, content, show)
        said += empty_notes(rejects.empty)
        said += [] if config.split is None else [counted(given, config.split)]
        _label_names(given, label, several, config)  # before the slow part; again after rows were dropped
        show(f"comparing {content.what if content else 'text'}s")
        compared = compare(given, text, group, config.near_duplicate, content)
        kept, leaks, notes = guard(compared, config.leaks, rejects)
        rejects.write()
        given = {name: rows if len(kept[name]) == len(rows) else rows.take(kept[name]) for name, rows in given.items()}
        names = _label_names(given, label, several, config)
        show("splitting")
        strata = None if several is None else several.mixtures(given["train"])
        called = "labels" if several is None else f"{several.called}s"
        if categories:
            strata, called = rarest_values(given["train"], [column.role for column in categories]), "rarest value"
        elif stratum := getattr(content, "stratum", ""):
            strata, called = rarest_values(given["train"], [stratum]), f"{stratum}s"
        units = compared.units("train")[kept["train"]]
        rows, drawn = split(given, label, units, config, seed, strata, called)
        show("looking for personal data")
        personal = count_personal(rows, columns, content)
        personal.check(config)
    labels = _labels(rows, label, names) if several is None else several.count(rows, names)
    drawn += check_categories(rows, categories)
    absent = [*absence_notes(labels), *comma_notes(labels)] if labels is not None else []
    if group is not None and drawn:
        drawn.append(f"all rows of one {config.group or group} are on one side")
    alone = [content.ungrouped] if content is not None and content.ungrouped and group is None else []
    good = sum(len(part) for part in given.values())
    number = first_role(columns, "number") if label is None else None
    said += compared.notes(label) if number is None else compared.notes(number, "number")
    said += [] if several is None else several.notes(rows)
    for column in categories:
        said += [note for note in compared.notes(column.role, f"value of {column.name}") if note not in said]
    return ValidatedData(
        rows["train"],
        rows["validation"],
        rows["test"],
        labels,
        rejects.read,
        good,
        rejects.count,
        rejects.dropped,
        leaks,
        (*said, *notes, *drawn, *absent, *alone, *personal.notes(config)),
        source,
        unused=good - sum(len(part) for part in rows.values()),
        content=content,
        unread=rejects.unread.facts(),
        personal=personal,
    )


def _read_all(
    sources: Mapping[str, Any],
    config: DataConfig,
    columns: Sequence[Column],
    invalid: Invalid | None,
    rejects: RejectLog,
    content: Content | None,
    show: Callable[[str], None],
) -> dict[str, Rows]:
    folders = file_source(columns) is not None
    paths = {name: resolve_paths(spec, f"data.{name}", folders) for name, spec in sources.items()}
    names = short_names(path for part in paths.values() for path in part)
    given: dict[str, Rows] = {}
    for name, part in paths.items():

        def report(read: int, name: str = name) -> None:
            show(f"reading {name}: {read:,} rows")

        rows = read_rows(
            part,
            f"data.{name}",
            columns,
            rejects,
            split=name,
            labels=_named(config),
            invalid=invalid,
            names=names,
            progress=report,
            delimiter=config.delimiter,
            vote=takes_votes(config),
        )
        for side, own in ({name: rows} if config.split is None else parted(rows)).items():
            if content is not None:
                show(f"inspecting the {content.what}s of {side}")
                own = content.inspect(own, rejects)
            given[side] = own
    rejects.write()
    rejects.check()
    if config.split is not None:
        check_parts(given, config.split)
    for name in ("train", *given):
        if not len(given.get(name, ())):
            raise UserError(
                f"no {name} row can be used",
                code="data.no-usable-rows",
                where=str(rejects.path),
                fix=f"give other rows: data.{name if config.split is None else 'train'}=rows.csv",
            )
    return given


def _named(config: DataConfig) -> list[str] | None:
    """The labels that the user names; None where they are whatever the rows hold."""
    return config.labels if isinstance(config, (LabelledDataConfig, ListedLabelsDataConfig)) else None


def _label_names(
    given: Mapping[str, Rows], label: str | None, several: LabelSets | None, config: DataConfig
) -> tuple[str, ...]:
    will_split = len(given) < len(SPLITS)
    if several is not None:
        return several.names(given, _named(config), will_split)
    return () if label is None else find_labels(count_labels(given, label), _named(config), will_split=will_split)


def _labels(rows: Mapping[str, Rows], label: str | None, names: tuple[str, ...]) -> Labels | None:
    if label is None:
        return None
    counts = count_labels(rows, label)
    return Labels(names, {name: {each: part.get(each, 0) for each in names} for name, part in counts.items()})


@contextmanager
def _shown(progress: bool) -> Iterator[Callable[[str], None]]:
    """A line on the terminal that says what is being done, and goes when it is."""
    console = Console(stderr=True)
    if not (progress and console.is_terminal):
        yield lambda message: None
        return
    with console.status("reading rows") as status:
        yield status.update
