"""Exports of Label Studio, in the shapes that its own export writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Answers = Sequence[Sequence[str]]
"""What each annotator of a task chose; more than one where the interface allows several."""
WHEN = "2026-01-31T12:00:00.000000Z"


def choice(chosen: Sequence[str], control: str = "sentiment", kind: str = "choices") -> dict[str, Any]:
    """A result of a control."""
    value = {kind: list(chosen)}
    return {"id": "aB3_x", "value": value, "type": kind, "origin": "manual", "to_name": "text", "from_name": control}


def task(number: int, text: str, answers: Answers, **more: Any) -> dict[str, Any]:
    """A task of the JSON export; ``more`` goes into its last annotation."""
    annotations: list[dict[str, Any]] = [
        {
            "id": 1000 * number + place,
            "completed_by": place + 1,
            "result": [choice(chosen)],
            "was_cancelled": False,
            "ground_truth": False,
            "created_at": WHEN,
            "updated_at": WHEN,
            "lead_time": 4.288,
            "result_count": 1,
            "task": number,
        }
        for place, chosen in enumerate(answers)
    ]
    if annotations:
        annotations[-1] |= more
    return {
        "id": number,
        "annotations": annotations,
        "predictions": [],
        "data": {"text": text, "shop": "north"},
        "meta": {},
        "created_at": WHEN,
        "updated_at": WHEN,
        "inner_id": number,
        "total_annotations": len(annotations),
        "project": 83,
    }


def rows_of(tasks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same as JSON-MIN has it: a row an annotation."""
    rows = []
    for each in tasks:
        for annotation in each["annotations"]:
            chosen = annotation["result"][0]["value"]["choices"]
            rows.append(
                {
                    **each["data"],
                    "id": each["id"],
                    "sentiment": chosen[0] if len(chosen) == 1 else {"choices": chosen},
                    "annotator": annotation["completed_by"],
                    "annotation_id": annotation["id"],
                    "created_at": WHEN,
                    "updated_at": WHEN,
                    "lead_time": 4.288,
                }
            )
    return rows


def write_export(path: Path, tasks: Sequence[dict[str, Any]], kind: str) -> Path:
    """Write tasks as "json", "json-min" or "csv"."""
    if kind != "csv":
        content = list(tasks) if kind == "json" else rows_of(tasks)
        path.write_text(json.dumps(content), encoding="utf-8")
        return path
    rows = rows_of(tasks)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        for row in rows:
            plain = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()}
            writer.writerow(plain)
    return path
