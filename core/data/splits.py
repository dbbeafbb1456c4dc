"""Splitting rows: stratified by label, whole groups and whole sets of duplicates on one side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tunebook.config.schema import DataConfig, LabelledDataConfig
from tunebook.data.rows import Rows
from tunebook.errors import UserError

# The order in which sides are served when a label has too few separate texts for all.
SIDES = ("test", "validation")


def split(
    rows: Mapping[str, Rows],
    label: str | None,
    units: np.ndarray | None,
    config: DataConfig,
    seed: int,
    mixtures: np.ndarray | None = None,
    what: str = "findings",
) -> tuple[dict[str, Rows], list[str]]:
    """Split the missing sides off the training rows, then take the few that are wanted of those.

    Each label's rows are shared out by `data.test_fraction` and `data.validation_fraction`, a unit at a time.
    A label with at least as many units as there are sides is on every side. The outcome depends on the rows,
    their order and the seeds alone: that of the splits is `data.split_seed` where it is set, and that of the rows
    drawn for training never is.

    Args:
        rows: The given splits: "train", and any of "validation" and "test".
        label: Role of the label column; None splits without regard to labels.
        units: [train] equal for rows that must stay together: one group, (near) duplicate texts.
            None: each row by itself.
        config: Fractions, ``shots``, ``max_rows`` and ``split_seed``.
        seed: Of the rows drawn, and of the splits where they have no seed of their own.
        mixtures: [train] text that stands for a label where a row has several; None: see ``label``.
        what: What such a text stands for, in the notes.

    Returns:
        All three splits, and notes on what was done.

    Raises:
        UserError: Fractions out of range, too few separate rows, fewer rows than ``data.shots`` of a class.
    """
    train = rows["train"]
    labels = np.array(train.texts(label), dtype=object) if label else np.full(len(train), "", dtype=object)
    if mixtures is not None:
        labels = mixtures
    missing = [side for side in SIDES if side not in rows]
    sides = np.full(len(train), "train", dtype=object)
    notes = []
    split_seed = seed if config.split_seed is None else config.split_seed
    if missing:
        fractions = _fractions(missing, config)
        units = np.arange(len(train)) if units is None else units
        sides = _share_out(labels, units, fractions, np.random.default_rng([split_seed, 1]))
        how = "stratified by label, " if label else f"stratified by {what}, " if mixtures is not None else ""
        for side in reversed(missing):
            notes.append(
                f"{side}: {np.sum(sides == side)} of {len(train)} training rows split off ({how}seed {split_seed})"
            )
    chosen = np.flatnonzero(sides == "train")
    kept = _choose(chosen, labels, label, config, np.random.default_rng([seed, 2]))
    if len(kept) < len(chosen):
        wish = f"data.shots={shots}" if (shots := shots_of(config)) is not None else f"data.max_rows={config.max_rows}"
        notes.append(f"train: {len(kept)} of {len(chosen)} rows taken ({wish}, seed {seed})")
    result = {"train": train if len(kept) == len(train) else train.take(kept, "train")}
    for side in ("validation", "test"):
        result[side] = rows[side] if side in rows else train.take(np.flatnonzero(sides == side), side)
    return result, notes


def _fractions(missing: list[str], config: DataConfig) -> dict[str, float]:
    wanted = {"validation": config.validation_fraction, "test": config.test_fraction}
    fractions = {side: wanted[side] for side in missing}
    for side, fraction in fractions.items():
        if not 0.0 < fraction < 1.0:
            raise UserError(
                f"data.{side}_fraction must lie between 0 and 1, and is {fraction:g}",
                code="config.out-of-range",
                where=f"data.{side}_fraction",
                fix=f"data.{side}_fraction=0.1, or give the rows: data.{side}=rows.csv",
            )
    if sum(fractions.values()) >= 1.0:
        raise UserError(
            "validation and test together take all rows",
            code="config.out-of-range",
            where="data.validation_fraction, data.test_fraction",
            fix="data.validation_fraction=0.1 data.test_fraction=0.1",
        )
    return fractions


def _share_out(
    labels: np.ndarray, units: np.ndarray, fractions: dict[str, float], random: np.random.Generator
) -> np.ndarray:
    """[rows] the side of each row."""
    heads, unit = np.unique(units, return_inverse=True)
    sizes = np.bincount(unit)
    strata = _strata(labels, unit, len(heads))
    side = np.full(len(heads), "train", dtype=object)
    for stratum in range(strata.max() + 1):
        members = random.permutation(np.flatnonzero(strata == stratum))
        for name, chosen in _draw(members, sizes, fractions).items():
            side[chosen] = name
    for name in fractions:
        if not np.any(side == name):
            _lend(name, side, sizes, labels, unit)
    result: np.ndarray = side[unit]
    return result


def _strata(labels: np.ndarray, unit: np.ndarray, count: int) -> np.ndarray:
    """[units] number of the rarest label in each: where labels mix in a unit, the rare one decides."""
    numbers = {name: number for number, name in enumerate(sorted(set(labels.tolist())))}
    codes = np.array([numbers[name] for name in labels.tolist()], np.int64)
    totals = np.bincount(codes)
    rarity = np.argsort(np.argsort(totals, kind="stable"), kind="stable")[codes]
    strata = np.full(count, len(totals))
    np.minimum.at(strata, unit, rarity)
    return strata


def _draw(members: np.ndarray, sizes: np.ndarray, fractions: dict[str, float]) -> dict[str, list[int]]:
    """Fill each side up to its share of one label's rows: one unit at least, and one stays for train."""
    total = int(sizes[members].sum())
    left = members.tolist()
    drawn: dict[str, list[int]] = {}
    for served, (name, fraction) in enumerate(fractions.items()):
        room = max(1, round(total * fraction))
        drawn[name] = []
        if len(left) < 2:
            continue
        # One unit is kept for each side still to come, and before all one for train.
        kept = min(len(fractions) - served, len(left) - 1)
        for member in left[: len(left) - kept]:
            if sizes[member] <= room:
                drawn[name].append(member)
                room -= int(sizes[member])
            if room == 0:
                break
        if not drawn[name]:
            drawn[name] = [min(left, key=lambda member: sizes[member])]
        taken = set(drawn[name])
        left = [member for member in left if member not in taken]
    return drawn


def _lend(name: str, side: np.ndarray, sizes: np.ndarray, labels: np.ndarray, unit: np.ndarray) -> None:
    """Move the smallest unit that training can spare to a side that got none."""
    for candidate in np.argsort(sizes, kind="stable").tolist():
        if side[candidate] != "train":
            continue
        remain = labels[(side[unit] == "train") & (unit != candidate)]
        if set(labels[unit == candidate]) <= set(remain):
            side[candidate] = name
            return
    raise UserError(
        f"there are too few separate rows to split off {name} rows",
        code="data.too-few-rows",
        where="data.train",
        fix=f"add rows (equal texts and one group count once), or give them: data.{name}=rows.csv",
    )


def shots_of(config: DataConfig) -> int | None:
    """How many training rows of each class are kept; None where all are, or there are no classes."""
    return config.shots if isinstance(config, LabelledDataConfig) else None


def _choose(
    rows: np.ndarray, labels: np.ndarray, label: str | None, config: DataConfig, random: np.random.Generator
) -> np.ndarray:
    """The training rows that `data.shots` or `data.max_rows` leaves; more shots include the fewer."""
    shots = shots_of(config)
    if shots is None and config.max_rows is None:
        return rows
    if shots is not None and config.max_rows is not None:
        raise UserError(
            "data.shots and data.max_rows both limit the training rows",
            code="config.conflict",
            where="data.shots",
            fix="set one of them",
        )
    if shots is not None and label is None:
        raise UserError("data.shots needs labels", code="data.no-labels", where="data.shots", fix="data.max_rows=100")
    if (shots or config.max_rows or 0) < 1:
        key = "data.shots" if shots is not None else "data.max_rows"
        raise UserError(f"{key} must be at least 1", code="config.out-of-range", where=key, fix=f"{key}=100")
    by_label = {name: random.permutation(rows[labels[rows] == name]) for name in sorted(set(labels[rows]))}
    if shots is not None:
        wanted = dict.fromkeys(by_label, shots)
        _check_shots(by_label, shots)
    else:
        wanted = _shares({name: len(part) for name, part in by_label.items()}, config.max_rows or 0)
    return np.sort(np.concatenate([part[: wanted[name]] for name, part in by_label.items()]))


def _check_shots(by_label: dict[str, np.ndarray], shots: int) -> None:
    few = {name: len(part) for name, part in by_label.items() if len(part) < shots}
    if few:
        shown = ", ".join(f"{name!r} has {count}" for name, count in list(few.items())[:5])
        raise UserError(
            f"data.shots={shots} asks for more training rows than there are: {shown}",
            code="data.too-few-rows",
            where="data.shots",
            fix=f"data.shots={min(few.values())}",
        )


def _shares(counts: dict[str, int], wanted: int) -> dict[str, int]:
    """Share out ``wanted`` rows in proportion to the counts by largest remainder, at least one each."""
    total = sum(counts.values())
    if wanted >= total:
        return counts
    if wanted < len(counts):
        raise UserError(
            f"data.max_rows={wanted} is less than one row for each of {len(counts)} labels",
            code="data.too-few-rows",
            where="data.max_rows",
            fix=f"data.max_rows={len(counts) * 10}",
        )
    exact = {name: max(1.0, count * wanted / total) for name, count in counts.items()}
    shares = {name: int(share) for name, share in exact.items()}
    while sum(shares.values()) > wanted:
        largest = max(shares, key=lambda name: (shares[name], name))
        shares[largest] -= 1
    order = sorted(exact, key=lambda name: (shares[name] - exact[name], name))
    for name in order[: wanted - sum(shares.values())]:
        shares[name] += 1
    return shares
