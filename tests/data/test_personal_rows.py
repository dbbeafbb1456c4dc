from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest

from tests.briefed import briefs, write_csv
from tests.chatted import conversation, write_jsonl
from tests.conftest import Tunebook, write_reviews
from tests.diagnosed import write_patients, write_table
from tests.personal import LOOKALIKES, PLANTED

CHECK = ("check", "trainer.progress=false", "trainer.rehearse=false")
VALUES = [(kind, value, around.format(value)) for kind, cases in PLANTED.items() for value, around in cases]


def write_texts(path: Path, texts: list[str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        writer.writerows([text, ("bad", "good")[i % 2]] for i, text in enumerate(texts))
    return path


def quoted(*places: str | Path) -> list[str]:
    """Planted values that occur in a text, or in any file of a folder."""
    texts = [place.encode() for place in places if isinstance(place, str)]
    texts += [f.read_bytes() for place in places if isinstance(place, Path) for f in place.rglob("*") if f.is_file()]
    # The shortest ones are words of other texts, too.
    return [value for _, value, _ in VALUES if len(value) > 7 and any(value.encode() in text for text in texts)]


def plain(text: str) -> str:
    return " ".join(text.split())


def test_check_counts_rows_by_split_kind_and_line_and_quotes_none(tunebook: Tunebook, tmp_path: Path) -> None:
    planted = [text for *_, text in VALUES]
    train = write_texts(tmp_path / "train.csv", [*planted, *LOOKALIKES])
    write_reviews(tmp_path / "test.csv", 30)
    done = tunebook(
        *(*CHECK, "recipe=review_sentiment", f"data.train={train}", f"data.test={tmp_path / 'test.csv'}"),
        *("data.label=label", "data.near_duplicate=1", f"data.validation={write_reviews(tmp_path / 'v.csv', 30, 1)}"),
    )
    assert done.returncode == 0, done.stderr
    said = plain(done.stdout)
    counts = "phone number 48, e-mail address 18, payment card 17, IBAN 16, IP address 9"
    assert f"personal data: train 108 of 213 rows ({counts})" in said
    assert "note: 108 rows hold personal data (data.pii=error would stop): train: e-mail address in 'text'" in said
    assert "train.csv:2, 3, 4, 5, 6 and 13 more" in said
    assert "payment card in 'text': train.csv:68, 69, 70, 71, 72 and 12 more" in said
    assert not quoted(done.stdout, done.stderr, tmp_path / "work")


def test_rows_without_any_say_so(tunebook: Tunebook, reviews: Path) -> None:
    done = tunebook(*CHECK, "recipe=review_sentiment", f"data.train={reviews}", "data.label=label", "data.pii=error")
    assert done.returncode == 0, done.stderr
    assert "personal data: none found" in done.stdout and "hold personal data" not in done.stdout


def test_error_stops_before_training_with_files_and_lines(tunebook: Tunebook, tmp_path: Path) -> None:
    texts = [f"text {i} of {i * 7919 % 1000}" for i in range(60)]
    texts[7] = "call +49 30 901820 or 030/1234567"
    train = write_texts(tmp_path / "rows.csv", texts)
    test = write_texts(tmp_path / "test.csv", [*(f"other {i} of {i * 31}" for i in range(20)), "I am anna@example.com"])
    run = tmp_path / "run"
    given = ("recipe=review_sentiment", f"data.train={train}", f"data.test={test}", "data.label=label")
    done = tunebook("train", *given, "data.pii=error", "trainer.progress=false", f"run_dir={run}")
    assert done.returncode == 2 and not done.stdout
    assert "2 rows hold personal data (data.pii=error)." in done.stderr
    assert "test: e-mail address in 'text': test.csv:22" in done.stderr
    assert done.stderr.count("phone number in 'text': rows.csv:9") == 1  # a row counts once, whatever it holds
    assert "data.pii=allow" in done.stderr and not run.exists()
    assert not quoted(done.stderr)


def test_a_run_leaves_no_planted_value_anywhere(tunebook: Tunebook, tmp_path: Path, cache: Path) -> None:
    train = write_texts(tmp_path / "train.csv", [text for *_, text in VALUES] + LOOKALIKES)
    given = [
        f"data.{name}={write_reviews(tmp_path / f'{name}.csv', 30, i)}" for i, name in enumerate(("validation", "test"))
    ]
    done = tunebook(
        *(
            "train",
            "recipe=review_sentiment",
            f"data.train={train}",
            *given,
            "data.label=label",
            "data.near_duplicate=1",
        ),
        *("adapt=head", "trainer=cpu", "trainer.max_epochs=1", "trainer.progress=false", "evaluation.resamples=20"),
        f"run_dir={tmp_path / 'run'}",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").is_file()
    assert not quoted(done.stdout, done.stderr, tmp_path / "run", cache)
    record = json.loads((tmp_path / "run" / "record.json").read_text())["personal_data"]
    assert {each["kind"]: each["rows"] for each in record} == {kind: len(cases) for kind, cases in PLANTED.items()}
    assert {(each["split"], each["place"], each["file"]) for each in record} == {("train", "text", "train.csv")}
    assert record[0]["lines"] == [2, 3, 4, 5, 6]
    report = plain((tmp_path / "run" / "report.html").read_text())
    assert "train 108 of 213 rows" in report and "108 rows hold personal data" in report
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "train 108 of 213 rows" in card and "train.csv:2" not in card


def test_a_conversation_is_looked_at_by_who_speaks(tunebook: Tunebook, tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [{"messages": conversation(draw, 2, system="Be brief.")} for _ in range(30)]
    rows[0]["messages"][1]["content"] = "I am anna.schmidt@example.com, call +49 30 901820"
    rows[4]["messages"][0]["content"] = "You are the desk of Joe, (212) 555-0123."
    rows[5]["messages"][2]["content"] = "Send it to DE89 3704 0044 0532 0130 00."
    given = [f"data.{name}={write_jsonl(tmp_path / f'{name}.jsonl', rows[a:b])}" for name, a, b in
             (("train", 0, 20), ("validation", 20, 25), ("test", 25, 30))]  # fmt: skip
    done = tunebook(*CHECK, "recipe=customer_chat", *given, "data.max_length=200")
    assert done.returncode == 0, done.stderr
    said = plain(done.stdout)
    assert "train 3 of 20 rows (phone number 2, e-mail address 1, IBAN 1)" in said
    for found in (
        *("e-mail address in 'user': train.jsonl:1", "phone number in 'user': train.jsonl:1"),
        *("phone number in 'system': train.jsonl:5", "IBAN in 'assistant': train.jsonl:6"),
    ):
        assert f"train: {found}" in said
    # The preview shows the first conversation, and the kind in the place of what stands there.
    assert "I am [e-mail address], call [phone number]" in said and not quoted(done.stdout, done.stderr)


def test_a_brief_is_looked_at_by_its_fields_and_the_copy(tunebook: Tunebook, tmp_path: Path) -> None:
    rows = briefs(40)
    for row in rows:
        row["features"] = row["features"][0]
        row["copy"] = row["copy"][0]
        row["must_mention"] = ""
    rows[0]["features"] = "made by anna.schmidt@example.com"
    rows[1]["copy"] += " Call (212) 555-0123."
    rows[1]["must_mention"] = "(212) 555-0123"
    path = write_csv(tmp_path / "briefs.csv", rows)
    given = (
        "recipe=marketing_copy",
        f"data.train={path}",
        "recipe.fields=[name,features,price]",
        "data.test_fraction=0.2",
    )
    done = tunebook(*CHECK, *given, "data.pii=error")
    assert done.returncode == 2
    found = {
        line.split(": ", 1)[1] for line in done.stderr.replace("where: ", "").splitlines() if "briefs.csv:" in line
    }
    assert found == {
        *("e-mail address in 'features': briefs.csv:2", "phone number in 'must_mention': briefs.csv:3"),
        "phone number in 'copy': briefs.csv:3",
    }
    assert not quoted(done.stderr)


def test_columns_beside_the_text_count_and_others_do_not(tunebook: Tunebook, tmp_path: Path) -> None:
    rows = [{"text": f"text {i} of {i * 7919}", "who": f"w{i}", "note": "x", "label": i % 2} for i in range(40)]
    rows[3]["who"] = "anna.schmidt@example.com"
    rows[4]["note"] = "anna.schmidt@example.com"
    path = write_csv(tmp_path / "rows.csv", rows)
    given = ("recipe=review_sentiment", f"data.train={path}", "data.label=label", "data.pii=error")
    done = tunebook(*CHECK, *given, "data.text_with=[who]")
    assert done.returncode == 2 and "in 'text with who': rows.csv:5" in done.stderr and "rows.csv:6" not in done.stderr
    assert tunebook(*CHECK, *given).returncode == 0


def test_rejected_rows_are_logged_without_it(tunebook: Tunebook, tmp_path: Path) -> None:
    path = write_texts(tmp_path / "rows.csv", [f"text {i} of {i * 7919}" for i in range(40)])
    lines = path.read_text().splitlines()
    lines[3] = "a plain text,anna.schmidt@example.com"
    lines[5] = f"another text,{'x' * 100} anna.schmidt@example.com"
    path.write_text("\n".join(lines) + "\n")
    done = tunebook(
        *(*CHECK, "recipe=review_sentiment", f"data.train={path}", "data.label=label", "data.max_rejects=5"),
        "data.labels=[bad,good]",
    )
    assert done.returncode == 0, done.stderr
    log = Path(done.stdout.split("rejected rows: ")[1].splitlines()[0])
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["line"] for entry in entries] == [4, 6]
    assert entries[0]["text"] == "[e-mail address]"
    assert entries[1]["text"] == f"{'x' * 100} [e-mail address]"
    assert entries[0]["reason"].startswith("is '[e-mail address]', which is none of the labels")
    assert "anna" not in log.read_text() and "anna" not in done.stdout + done.stderr


def test_images_are_not_looked_at_and_have_no_option(tunebook: Tunebook, tmp_path: Path) -> None:
    table = write_table(tmp_path / "images.csv", write_patients(tmp_path / "images", 40, 0))
    given = ("recipe=medical_diagnosis", f"data.train={table}", "recipe.size=32", "trainer.progress=false")
    done = tunebook("check", *given, "trainer.rehearse=false")
    assert done.returncode == 0, done.stderr
    assert "personal data" not in done.stdout
    refused = tunebook("check", *given, "data.pii=error")
    assert refused.returncode == 2 and "data.pii has no effect for recipe=medical_diagnosis" in refused.stderr


@pytest.mark.parametrize("value", ["drop", "yes"])
def test_there_are_two_values(tunebook: Tunebook, reviews: Path, value: str) -> None:
    done = tunebook(*CHECK, "recipe=review_sentiment", f"data.train={reviews}", f"data.pii={value}")
    assert done.returncode == 2 and "allow" in done.stderr and "data.pii" in done.stderr
