"""Rows that are damaged, or were made to do harm: `check` says so, in seconds, and runs none of them."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import tooled
from tests.chatted import write_jsonl
from tests.conftest import write_reviews
from tests.diagnosed import write_patients, write_table
from tests.hostile import damage as d
from tests.hostile.runner import Case, faults, run_cases
from tests.labelled import task

TEXTS = ["check", "recipe=review_sentiment", "data.label=label", "data.max_length=32", "trainer.progress=false"]
ALONE = "trainer.rehearse=false"
"""Where the damage is in the file: what is accepted of it are rows as any other."""
LISTS = ["check", "recipe=review_topics", "data.label=topics", "data.max_length=32", "trainer.progress=false"]
ASPECTS = ["check", "recipe=review_aspects", "recipe.aspects=[price]", "recipe.values=[none,good]"]
IMAGES = ["check", "recipe=medical_diagnosis", "recipe.size=32", "trainer.progress=false"]


def text_files(folder: Path) -> dict[str, bytes]:
    """A whole file of each format that texts are read from, by its name's ending."""
    rows = write_reviews(folder / "base.csv", 60)
    csv = rows.read_bytes()
    lines = [line.split(",", 1) for line in csv.decode().splitlines()[1:]]
    texts, labels = [text.strip('"') for text, _ in lines], [label for _, label in lines]
    header = csv.decode().splitlines()[0].split(",")
    table = pa.table(dict(zip(header, (texts, labels), strict=True)))
    jsonl = "".join(json.dumps(row) + "\n" for row in table.to_pylist()).encode()
    made = {"csv": csv, "tsv": csv.replace(b",", b"\t"), "jsonl": jsonl}
    for name, options in {"parquet": {}, "zstd.parquet": {"compression": "zstd", "use_dictionary": False}}.items():
        stream = io.BytesIO()
        pq.write_table(table, stream, **options)
        made[name] = stream.getvalue()
    return {**made, "csv.gz": d.packed(csv), "jsonl.gz": d.packed(jsonl), "parquet.gz": d.packed(made["parquet"])}


def dataset(folder: Path) -> Path:
    """What `Dataset.save_to_disk` writes."""
    folder.mkdir(parents=True)
    table = pa.table({"text": [f"text number {i} of it" for i in range(40)], "label": [i % 2 for i in range(40)]})
    with pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as w:
        w.write_table(table)
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_indices_files": None}
    features = {
        "text": {"dtype": "string", "_type": "Value"},
        "label": {"names": ["bad", "good"], "_type": "ClassLabel"},
    }
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return folder


def damaged_texts(folder: Path) -> Iterator[Case]:
    for number, (ending, content) in enumerate(text_files(folder).items()):
        for name, damage in d.damages(number):
            file = folder / f"{name.replace(' ', '-')}.{ending}"
            file.write_bytes(damage(content))
            yield Case(f"{ending}, {name}", [*TEXTS, ALONE, f"data.train={file}"])
    whole = dataset(folder / "saved")
    for name in ("state.json", "dataset_info.json", "data-00000-of-00001.arrow"):
        content = (whole / name).read_bytes()
        ways = [(kind, damage(content)) for kind, damage in d.damages(99)]
        if name.endswith(".json"):
            ways = [*list(d.kinds(content)), *list(d.changed_json(content))]
        for kind, changed in ways:
            copy = folder / f"saved-{name}-{kind.replace(' ', '-').replace('/', '')}"
            shutil.copytree(whole, copy)
            (copy / name).write_bytes(changed)
            yield Case(f"saved dataset, {name}: {kind}", [*TEXTS, ALONE, f"data.train={copy}"])


def label_studio() -> dict[str, bytes]:
    """Exports that are no rows, damaged, or made to do harm."""
    good = task(1, "a", [["bad"]])
    head, tail = b'[{"id": 1, "data": {"text": "a"}, "annotations": [', b"]}]"
    odd = {
        "regions": {**good, "annotations": [{"result": [{"type": "relation", "from_id": "a", "to_id": "b"}]}]},
        "image": {**good, "data": {"image": "/1.jpg"}},
        "results": {**good, "annotations": [{"result": [5, None, {"value": 7}, {"type": [], "value": {}}]}]},
        "annotations": {**good, "annotations": [5, None, []]},
        "names": {**good, "annotations": [{"result": [{"from_name": [], "value": {"choices": [[1], {}]}}]}]},
        "ids": {**good, "id": {"a": 1}},
        "data": {**good, "data": {"text": [1, 2], "label": {"a": 1}}},
        "half": {**good, "data": {"text": "\ud800"}},
    }
    files = {f"studio-{name}.json": json.dumps([task]).encode() for name, task in odd.items()}
    return {
        **files,
        "studio-cut.json": json.dumps([good] * 9).encode()[:-30],
        "studio-deep.json": head + b"[" * 100_000 + b"]" * 100_000 + tail,
        "studio-endless.json": head + b'"' + b"a" * (1 << 25),
        "studio-empty.json": b'[{"id": 1, "data": {}, "annotations": []}]',
        "studio-mixed.json": json.dumps([good, 5]).encode(),
        "studio-latin.json": json.dumps([good]).encode().replace(b'"a"', b'"\xe9"'),
        "studio-apart.csv": b"text,id,label,annotator,annotation_id,lead_time\n" + b"a,1,x,1,1,1\nb,2,y,1,2,1\n" * 20,
    }


def harmful_texts(folder: Path, canary: Path) -> Iterator[Case]:
    large = 1 << 26
    head = b"text,label\n"
    files: dict[str, bytes] = {
        "line.csv.gz": d.gzip_of(b"a" * large, 48, head),
        "line.jsonl.gz": d.gzip_of(b"a" * large, 48, b'{"text": "'),
        "quoted.csv.gz": d.gzip_of(b"aaaaaaa\n" * (large // 8), 48, head + b'"'),
        "blank.csv.gz": d.gzip_of(b"\n" * large, 48, head),
        "blank.jsonl.gz": d.gzip_of(b"\r\n" * (large // 2), 48),
        "fields.csv.gz": d.gzip_of(b"," * large, 2, head),
        "zeros.parquet.gz": d.gzip_of(bytes(large), 48, b"PAR1"),
        "header.csv.gz": d.gzip_of(b"text," * (large // 5), 5),
        "deep.jsonl": d.deep_json() + b"\n",
        **label_studio(),
        "wide.jsonl": b'{"text": [' + b"[]," * 5_000_000 + b"[]]}\n",
        "digits.jsonl": b'{"text": "a", "label": ' + b"9" * 1_000_000 + b"}\n",
        "keys.jsonl": b"{" + b",".join(b'"k%d": 1' % i for i in range(200_000)) + b"}\n",
        "twice.jsonl": b'{"text": "a", "text": "b", "label": "c"}\n' * 9,
        "exponent.jsonl": b'{"text": "a", "label": 1e999999999}\n' * 9,
        "carriage.csv": head + b"a,b\r" * 1000,
        "nul.csv": head + b"a\0b,c\n" * 30,
        "pickle.parquet": d.pickled(canary),
        "pickle.csv": d.pickled(canary),
        "torch.jsonl": d.zipped_pickle(canary),
        "sqlite.csv": b"SQLite format 3\0" + bytes(4096),
        "elf.csv": b"\x7fELF\x02\x01\x01" + bytes(500),
        "surrogates.jsonl": b'{"text": "\\ud800\\ud800", "label": "\\udfff"}\n' * 9,
        "overlong.csv": head + b"\xc0\xaf\xe0\x80\xaf,x\n" * 9,
        "rtl.csv": head + "\u202e\u2066abc\u0000,x\n".encode() * 9,
        "escapes.csv": head + b"\x1b]0;title\x07\x1b[2J,\x1b[31mred\n" * 20,
        "formulas.csv": head + b"=cmd|' /C calc'!A0,+1\n" * 20,
        "huge-label.csv": head + b"".join(b"text %d,%s\n" % (i, b"l" * 100_000) for i in range(50)),
        "many-labels.csv": head + b"".join(b"text %d,label %d\n" % (i, i) for i in range(20_000)),
        "one-word.csv": head + b"".join(b"%s,x\n" % (b"w" * 1_000_000) for _ in range(9)),
        "combining.csv": head + b"a" + "\u0301".encode() * 500_000 + b",x\n",
        "expanding.csv": head + "\ufdfa".encode() * 1_000_000 + b",x\n",
        "open-quotes.csv": head + b'"a,b\n' * 100_000,
        "template.csv": head + b"{{ 7*7 }}{% for i in range(9999999) %}x{% endfor %},${oc.env:HOME}\n" * 20,
        "semicolons.csv": head.replace(b",", b";") + b"a;b\n" * 20,
        "pipes.tsv": head.replace(b",", b"|") + b"a|b\n" * 20,
        "declared.csv": b"sep=;\r\n" * 20,
        "windows.csv": head + "schön,gut\n".encode("cp1252") * 20,
        "columns.json": json.dumps({"text": {"0": "a"}, "label": {"0": "b"}}).encode(),
        "wrapped.json": json.dumps({"data": [{"text": "a", "label": "b"}] * 9}, indent=1).encode(),
        "array.jsonl": json.dumps([{"text": "a", "label": "b"}] * 9, indent=1).encode(),
        "opened.json": b'{"a":\n' * 100_000,
        "constants.jsonl": b'{"text": "a", "label": Infinity, "more": ' + b"[" * 900 + b"NaN" + b"]" * 900 + b"}\n",
        "folder.csv/": b"",
        "state.json": b"{}",
    }
    for name, content in files.items():
        file = folder / "harm" / name
        file.parent.mkdir(exist_ok=True)
        if name.endswith("/"):
            file.mkdir()
        else:
            file.write_bytes(content)
        yield Case(f"harmful texts, {name}", [*TEXTS, f"data.train={file}"])
    for given in ("delimiter=", "delimiter=;;", "delimiter=\\n", "delimiter=a", "group=", "label="):
        yield Case(f"data.{given}", [*TEXTS, f"data.train={folder / 'harm' / 'semicolons.csv'}", f"data.{given}"])
    for name, said in (("test", b"test"), ("odd", b"\xf0\x9f\x8e\x88"), ("number", b"1e999"), ("none", b"")):
        file = folder / "harm" / f"split-{name}.csv"
        file.write_bytes(b"text,label,fold\n" + b"".join(b"text %d,%d,%s\n" % (i, i % 2, said) for i in range(40)))
        yield Case(f"rows of the split {name}", [*TEXTS, f"data.train={file}", "data.split=fold"])
    pipe, loop, device = folder / "pipe.csv", folder / "loop.csv", folder / "device.csv"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    device.symlink_to("/dev/zero")
    (folder / "gone.csv").symlink_to(folder / "nothing")
    for file in (pipe, loop, device, folder / "gone.csv", Path("/dev/stdin"), Path("/dev/full"), Path("/proc/kmsg")):
        yield Case(f"harmful texts, {file.name}", [*TEXTS, f"data.train={file}"])
    outside = dataset(folder / "outside")
    (outside / "state.json").write_text(json.dumps({"_data_files": [{"filename": "../../../../etc/passwd"}]}))
    yield Case("a saved dataset that leads outside", [*TEXTS, f"data.train={outside}"])
    yield Case("a saved dataset that names itself", [*TEXTS, f"data.train={outside}/**"])
    stream = io.BytesIO()
    table = pa.table({"text": ["a"], "label": ["b"]}).replace_schema_metadata({"huggingface": "[" * 100_000})
    pq.write_table(table, stream)
    (folder / "metadata.parquet").write_bytes(stream.getvalue())
    yield Case("a Parquet file with deep metadata", [*TEXTS, f"data.train={folder / 'metadata.parquet'}"])
    constant = pa.table({"text": pa.DictionaryArray.from_arrays(pa.array([0] * 20_000_000, pa.int8()), ["word"])})
    pq.write_table(constant, folder / "constant.parquet", compression="zstd")
    yield Case("a Parquet file of one value", [*TEXTS, f"data.train={folder / 'constant.parquet'}"])
    yield from of_few_bytes(folder)
    turns = [{"role": ("user", "assistant")[i % 2], "content": f"turn {i}"} for i in range(10_000)]
    (folder / "turns.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    yield Case(
        "a conversation of 10,000 turns", ["check", "recipe=customer_chat", f"data.train={folder / 'turns.jsonl'}"]
    )
    for number, (name, row) in enumerate(rows_for_other_trainers()):
        file = folder / f"trainers-{number}.jsonl"
        file.write_text((json.dumps(row) + "\n") * 3)
        yield Case(f"rows for other trainers, {name}", ["check", "recipe=customer_chat", f"data.train={file}"])
    connection = sqlite3.connect(folder / "real.db")
    connection.execute("create table t (text, label)")
    connection.commit()
    connection.close()
    yield Case("a database", [*TEXTS, f"data.train={folder / 'real.db'}"])


def personal_texts(folder: Path) -> Iterator[Case]:
    """Texts that look like personal data without end, or hold it in odd places."""
    texts = {
        **{"signs": "a@" * 100_000, "labels": f"a@{'b.' * 100_000}com", "digits": "1 " * 100_000},
        **{"pluses": "+49 " * 60_000, "cards": "4111 " * 60_000, "accounts": "DE89 " * 60_000},
        **{"addresses": "1.1.1.1 " * 30_000, "real": "anna@example.com +49 30 901820 " * 6_000},
        **{
            "escapes": "\x1b[2Janna@example.com",
            "wide": "\uff10\uff13\uff10 \uff11\uff12\uff13\uff14\uff15\uff16\uff17",
        },
    }
    for name, text in texts.items():
        rows = [{"text": f"text {i} of {i * 7919}", "label": i % 2} for i in range(40)]
        rows[3]["text"], rows[7]["text"] = "write to anna@example.com", text
        file = folder / f"personal-{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        yield Case(f"personal data, {name}", [*TEXTS, f"data.train={file}", "data.pii=error"])
    for typed in ("data.pii=", "data.pii=drop", "data.pii=[error]", "data.pii=null"):
        yield Case(typed, [*TEXTS, f"data.train={file}", typed])


def rows_for_other_trainers() -> Iterator[tuple[str, object]]:
    pair = {"prompt": "a", "completion": "b"}
    for beside in ({"label": True}, {"tools": [{}]}, {"images": [[[]]]}, {"chosen": {}, "rejected": 1}):
        yield f"beside, {beside}", {**pair, **beside}
    for context in ({"a": 1}, [1], ["a", ""], [["a"]], "[" * 50_000, "a\0", "w " * 100_000):
        yield f"context, {str(context)[:20]}", {**pair, "context": context}
    yield "pairs alone", {"prompt": "a", "chosen": "b", "rejected": "c"}
    for flag in ({"train": "no"}, {"loss": {}}, {"weight": 1e999}, {"weight": 0.5}, {"train": True, "loss": False}):
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", **flag}]
        yield f"flag, {flag}", {"messages": turns}


def tool_rows(folder: Path) -> Iterator[Case]:
    """Rows that are wrong about tools, and a template that leaves them out."""
    chat = ["check", "recipe=customer_chat", "data.max_length=512", "trainer.progress=false"]
    for number, (made, reason) in enumerate(tooled.broken()):
        file = write_jsonl(folder / f"tools-{number}.jsonl", [*tooled.rows(9), made])
        yield Case(f"tools, {reason}", [*chat, f"data.train={file}", f"model.chat_template={tooled.TEMPLATE}"])
    deep = '{"messages": [], "tools": ' + "[" * 100_000 + "]" * 100_000 + "}\n"
    cells = {"deep": deep, "many": json.dumps({**tooled.row(), "tools": [tooled.TRACK] * 5_000}) + "\n"}
    for name, content in cells.items():
        (folder / f"{name}.jsonl").write_text(content)
        yield Case(f"tools, {name}", [*chat, f"data.train={folder / f'{name}.jsonl'}"])
    good = tooled.write_tooled(folder / "good.jsonl", 30)
    yield Case("tools, a template without them", [*chat, f"data.train={good}"])
    yield Case("tools, plain", [*chat, f"data.train={good}", "model.chat_template=plain"])
    yield Case("tools, whole", [*chat, f"data.train={good}", f"model.chat_template={tooled.TEMPLATE}"])


def of_few_bytes(folder: Path) -> Iterator[Case]:
    """Columnar files that stand for far more than they hold, and a pattern over folders that lead to each other."""
    labels = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 5_000_000, pa.int8()), ["bad", "good"])
    tables = {
        "two texts": pa.table({"text": labels, "label": labels}),
        "nulls": pa.table({"text": pa.nulls(30_000_000, pa.string()), "label": pa.nulls(30_000_000, pa.string())}),
        "one long text": pa.table(
            {
                "text": pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int8()), ["w " * 500_000]),
                "label": pa.DictionaryArray.from_arrays(pa.array([0, 1] * 10_000, pa.int8()), ["a", "b"]),
            }
        ),
    }
    for name, table in tables.items():
        file = folder / f"{name.replace(' ', '-')}.parquet"
        pq.write_table(table, file, compression="zstd")
        yield Case(f"Parquet, {name}", [*TEXTS, f"data.train={file}"])
    nothing = dataset(folder / "nothing-at-all")
    schema = pa.schema([("text", pa.null()), ("label", pa.null())])
    nulls = pa.Array.from_buffers(pa.null(), 2**31 - 1, [None])  # takes no memory
    batch = pa.record_batch([nulls, nulls], schema=schema)
    with pa.OSFile(str(nothing / "data-00000-of-00001.arrow"), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(batch)
    yield Case("saved dataset, 2**31 nulls", [*TEXTS, f"data.train={nothing}"])
    loops = folder / "loops"
    loops.mkdir()
    write_reviews(loops / "rows.csv", 40)
    for name in ("a", "b", "c"):
        (loops / name).symlink_to(".")
    yield Case("a pattern over loops", [*TEXTS, f"data.train={loops}/**/*.csv"])


def listed_labels(folder: Path) -> Iterator[Case]:
    """Cells that list labels, or something else; columns of 1 and 0 that hold neither."""
    head, good = b"text,topics\n", b"text of %d,fit;price\ntext for %d,\ntext on %d,fit\n"
    rows = b"".join(good % (i, i, i) for i in range(20))
    files: dict[str, bytes] = {
        "good.csv": head + rows,
        "none.csv": head + rows.replace(b"price", b"none"),
        "semicolon.jsonl": b'{"text": "a", "topics": ["a;b", "c"]}\n' * 9,
        "numbers.jsonl": b'{"text": "a", "topics": ["a", 1]}\n' * 9,
        "object.jsonl": b'{"text": "a", "topics": {"a": 1}}\n' * 9,
        "nested.jsonl": b'{"text": "a", "topics": [["a"]]}\n' * 9,
        "deep.jsonl": b'{"text": "a", "topics": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
        "surrogate.jsonl": b'{"text": "a", "topics": ["\\ud800"]}\n' * 9,
        "nul.jsonl": b'{"text": "a", "topics": ["a\\u0000", "b"]}\n' * 9,
        "truth.jsonl": b'{"text": "a", "topics": true}\n' * 9,
        "deep.csv": head + b"a," + b"[" * 100_000 + b"\n",
        "long.csv": head + b"a," + b"x;" * 1_000_000 + b"\n",
        "many.csv": head + b"".join(b"text %d,label %d;label %d\n" % (i, i // 2, 5000 + i // 2) for i in range(10_000)),
        "one.csv": head + b"".join(b"text %d,fit\n" % i for i in range(30)),
        "empty.csv": head + b"".join(b"text %d,\n" % i for i in range(30)),
        "case.csv": head + rows + b"one more,Fit;price\n",
        "commas.csv": head + rows.replace(b"fit;price", b'"fit, price"'),
        "semicolons.csv": head + rows.replace(b"fit;price", b";;;"),
    }
    for name, content in files.items():
        file = folder / name
        file.write_bytes(content)
        yield Case(f"listed labels, {name}", [*LISTS, f"data.train={file}"])
    table = pa.table({"text": [f"text {i}" for i in range(9)], "topics": [[["a"]]] * 9})
    pq.write_table(table, folder / "lists.parquet")
    yield Case("listed labels, lists of lists", [*LISTS, f"data.train={folder / 'lists.parquet'}"])
    good_rows = f"data.train={folder / 'good.csv'}"
    for typed in ("data.separator=", "data.separator=''", "data.separator=x", "data.labels=[]", "data.labels=[fit]"):
        yield Case(f"listed labels, {typed}", [*LISTS, good_rows, typed])
    for typed in ("recipe.topics=[a,b]", "data.label=nothing", "data.label=", "data.text_with=[topics]"):
        yield Case(f"listed labels, {typed}", [*LISTS, good_rows, typed])
    flags = b"".join(b"text %d,%d,%d\n" % (i, i % 2, i % 3 == 0) for i in range(30))
    for name, row in {
        "maybe": b"a,1,maybe",
        "blank": b"a,,1",
        "-1": b"a,-1,1",
        "2": b"a,2,0",
        "whole": b"a,1,0",
    }.items():
        file = folder / f"flags{name}.csv"
        file.write_bytes(b"text,x,y\n" + flags + row + b"\n")
        columns = [each for each in LISTS if not each.startswith("data.label=")]
        yield Case(f"flags, {name}", [*columns, "recipe.topics=[x,y]", f"data.train={file}"])
    for typed in ("recipe.topics=[x]", "recipe.topics=[]", "recipe.topics=[x,x]", "recipe.topics=[x,text]"):
        yield Case(f"flags, {typed}", [*columns, f"data.train={file}", typed])
    for typed in ("recipe.topics=x", "data.separator=;", "data.labels=[x,y]", "data.shots=2", "adapt=none"):
        yield Case(f"flags, {typed}", [*columns, f"data.train={file}", typed])


def aspect_cells(folder: Path) -> Iterator[Case]:
    """Cells of aspects that are none of the values, or no cells at all."""
    cells: dict[str, object] = {
        **{"formula": "=cmd|' /C calc'!A0", "nul": "none\0", "long": "none" * 1_000_000, "half": "\ud800"},
        **{"list": ["none"], "object": {"none": 1}, "number": 1e400, "truth": True, "escapes": "\x1b[2Jnone"},
        **{"right to left": "\u202enone", "wide": "none\u3000", "accent": "none\u0301"},
    }
    for name, cell in cells.items():
        rows = [
            {"text": f"text {i} of {i * 7919}", "price": cell if i == 7 else ("none", "good")[i % 2]} for i in range(40)
        ]
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8", errors="surrogatepass")
        yield Case(f"aspects, {name}", [*ASPECTS, f"data.train={file}"])
    heads = {"twice": "text,price,price", "without": "text,cost", "case": "text,Price", "blank": "text,"}
    for name, head in heads.items():
        file = folder / f"{name}.csv"
        file.write_text(head + "\n" + "".join(f"text {i} of {i * 7919},none,good\n" for i in range(40)))
        yield Case(f"aspects, {name}", [*ASPECTS, f"data.train={file}"])


def preferences(folder: Path) -> Iterator[Case]:
    """Thumbs and pairs that nothing can be learned from, or that are none."""
    good = {"dpo": {"prompt": "a", "chosen": "b", "rejected": "c"}, "kto": {"prompt": "a", "answer": "b", "good": True}}
    values: list[object] = ["", " ", None, 7, 1e400, [], {}, "=cmd|' /C calc'!A0", "\ud800", "nul\0", "x" * 1_000_000]
    values += [[["a"]], [{}], {"role": "user", "content": "d"}, [{"role": "assistant"}], ["a", "b"], "[" * 50_000]
    for objective, row in good.items():
        usual = ["check", "recipe=customer_chat", f"objective={objective}", "trainer.progress=false"]
        rows_alone = [*usual, ALONE]  # the values of one key are enough to be trained on
        others = [{**row, "prompt": f"question {i} of {i * 7919}", "good": i % 2 == 0} for i in range(20)]
        for key in row:
            for number, value in list(enumerate(values))[:: 1 if objective == "dpo" or key == "good" else 2]:
                bad = {**row, key: value} if key != "good" or value != "" else {**row, key: "perhaps"}
                yield _preference(
                    folder, f"{objective}, {key} {number}", [bad, *others], usual if key == "prompt" else rows_alone
                )
        for name, rows in {
            "columns are missing": [{"prompt": "a", "chosen": "b"}],
            "one row": [row],
            "at odds": [row, {**row, "good": False, "chosen": "c", "rejected": "b"}, *others],
            "equal answers": [{**row, "rejected": "b"}, *others] if objective == "dpo" else [{**row, "good": 2}],
            "all good": [{**each, "good": True, "rejected": "b"} for each in others],
            "all bad": [{**each, "good": False, "chosen": "c"} for each in others],
        }.items():
            yield _preference(folder, f"{objective}, {name}", rows, usual)


def _preference(folder: Path, name: str, rows: list[dict[str, object]], usual: list[str]) -> Case:
    file = folder / f"{name.replace(', ', '-').replace(' ', '-')}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Case(f"preferences, {name}", [*usual, f"data.train={file}"])


def image_cases(folder: Path, canary: Path) -> Iterator[Case]:
    rows = write_patients(folder / "train", 40, 0)
    table = write_table(folder / "train.csv", rows)
    usual = [*IMAGES, "data.group=patient"]
    whole = (folder / rows[3]["path"]).read_bytes()
    draw = np.random.default_rng(0)
    images, labels = draw.integers(0, 255, (40, 16, 16), np.uint8), (np.arange(40) % 2).astype(np.uint8)
    arrays = {"train_images": images, "train_labels": labels}
    made = {name: d.npy(a.shape, a.tobytes()) for name, a in arrays.items()}
    files: dict[str, bytes] = {
        "whole.png": whole,
        "huge.png": d.png(100_000, 100_000),
        "wide.png": d.png(2_000_000_000, 1),
        "nothing.png": d.png(0, 0),
        "white.png": d.white_png(30_000, 30_000),
        "text.png": b"no picture",
        "gif.png": b"GIF89a" + b"\xff\xff\xff\xff\x80\x00\x00" + bytes(20),
        "bmp.png": b"BM" + bytes(12) + b"\x28\0\0\0" + b"\xff\xff\xff\x7f" * 2 + bytes(40),
        "tiff.png": b"II*\x00\x08\0\0\0\x01\0\x00\x01\x04\0\xff\xff\xff\xff\xff\xff\xff\x7f\0\0\0\0",
        "eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(w) file\n",
        "svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        "pickle.png": d.pickled(canary),
        "dicom.dcm": bytes(128) + b"DICM" + bytes(200),
        "webp.png": b"RIFF\xff\xff\xff\xffWEBPVP8X\x0a\0\0\0" + b"\xff" * 10,
    }
    files["scans.jpg"] = d.many_scans()
    files |= {f"{name}.png": damage(whole) for name, damage in d.damages(7)}
    for name, content in files.items():
        place = folder / "train" / name.replace(" ", "-")
        place.write_bytes(content)
        changed = [dict(row) for row in rows]
        changed[3]["path"] = f"train/{place.name}"
        listed = write_table(folder / f"{place.name}.csv", changed)
        yield Case(f"picture, {name}", [*usual, ALONE, f"data.train={listed}", "data.max_rejects=0.5"])
    for number, path in enumerate(
        ["../../../etc/passwd", "/dev/zero", "train", "\0", "a" * 5000, "http://127.0.0.1/a.png"]
    ):
        changed = [dict(row) for row in rows]
        changed[3]["path"] = path
        listed = folder / f"path-{number}.csv"
        write_table(listed, changed)
        yield Case(f"picture at {path[:30]!r}", [*usual, f"data.train={listed}"])
    for most in ("0", "-1", "1", "null", "99999999999"):
        yield Case(f"data.max_pixels={most}", [*usual, f"data.train={table}", f"data.max_pixels={most}"])
    os.mkfifo(folder / "train" / "pipe.png")
    changed = [dict(row) for row in rows]
    changed[3]["path"] = "train/pipe.png"
    yield Case("picture that is a pipe", [*usual, f"data.train={write_table(folder / 'pipe.csv', changed)}"])
    yield Case("whole pictures", [*usual, f"data.train={table}"])
    objects = io.BytesIO()
    np.save(objects, np.array([d.Payload(canary)], dtype=object), allow_pickle=True)
    many = made["train_images"]
    harmful = {
        "whole": made,
        "rows that are not there": {**made, "train_images": d.npy((10**10, 28, 28), images.tobytes())},
        "rows of nothing": {**made, "train_images": d.npy((10**10, 0))},
        "negative rows": {**made, "train_images": d.npy((-5, 16, 16), images.tobytes())},
        "an overflow": {**made, "train_images": d.npy((2**62, 4, 4), images.tobytes())},
        "no shape": {**made, "train_images": d.npy((), b"a")},
        "one dimension": {**made, "train_images": d.npy((40 * 256,), images.tobytes())},
        "five dimensions": {**made, "train_images": d.npy((40, 16, 4, 2, 2), images.tobytes())},
        "labels that are not there": {**made, "train_labels": d.npy((10**10,), labels.tobytes())},
        "labels as a pickle": {**made, "train_labels": objects.getvalue()},
        "images as a pickle": {**made, "train_images": objects.getvalue()},
        "a pickle for an array": {**made, "train_labels": d.pickled(canary)},
        "floats": {**made, "train_images": d.npy((40, 4, 4), np.full((40, 4, 4), np.nan).tobytes(), "<f8")},
        "texts": {**made, "train_images": d.npy((40, 2), b"ab" * 40, "|S1")},
        "a header of code": {**made, "train_images": many[:10] + b"__import__('os').system('touch x')".ljust(118)},
        "a name that leads out": {**made, "../../../train_images": many},
        "zeros": {**made, "train_images": d.npy((40, 8000, 8000), bytes(40 * 8000 * 8000 // 4))},
        "a bomb": {"train_labels": d.npy((1_500_000_000,), bytes(1_500_000_000)), "train_images": many},
    }
    for name, parts in harmful.items():
        file = folder / f"{name.replace(' ', '-')}.npz"
        file.write_bytes(d.npz(parts))
        yield Case(f"npz, {name}", [*IMAGES, *([ALONE] if name != "whole" else []), f"data.train={file}"])
    content = d.npz(made)
    for name, damage in d.damages(8):
        file = folder / f"damaged-{name.replace(' ', '-')}.npz"
        file.write_bytes(damage(content))
        yield Case(f"npz, {name}", [*IMAGES, *([ALONE] if name != "whole" else []), f"data.train={file}"])
    (folder / "raw.npz").write_bytes(pickle.dumps(arrays))
    yield Case("npz, a pickle of arrays", [*IMAGES, f"data.train={folder / 'raw.npz'}"])
    with zipfile.ZipFile(folder / "encrypted.npz", "w") as archive:
        archive.writestr(zipfile.ZipInfo("train_images.npy"), many)
    raw = bytearray((folder / "encrypted.npz").read_bytes())
    raw[6] |= 1
    (folder / "encrypted.npz").write_bytes(raw)
    yield Case("npz, said to be encrypted", [*IMAGES, f"data.train={folder / 'encrypted.npz'}"])


@pytest.mark.parametrize(
    "kind",
    [
        *("damaged texts", "harmful texts", "listed labels", "images", "aspects", "personal data", "tools"),
        "preferences",
    ],
)
def test_hostile_rows_end_in_one_message_or_as_rejects(tmp_path, cache, kind):
    canary = tmp_path / "canary"
    canary.mkdir()
    files = tmp_path / "files"
    files.mkdir()
    made = {
        "damaged texts": lambda: damaged_texts(files),
        "harmful texts": lambda: harmful_texts(files, canary),
        "listed labels": lambda: listed_labels(files),
        "images": lambda: image_cases(files, canary),
        "aspects": lambda: aspect_cells(files),
        "personal data": lambda: personal_texts(files),
        "tools": lambda: tool_rows(files),
        "preferences": lambda: preferences(files),
    }
    outcomes = run_cases(list(made[kind]()), tmp_path / "run")
    assert len(outcomes) > 50 or kind in ("harmful texts", "listed labels", "aspects", "personal data", "tools")
    wrong = faults(outcomes)
    assert not wrong, wrong
    assert not list(canary.iterdir())
    by_name = {each.case.name: each for each in outcomes}
    if kind == "listed labels":
        accepted = [name for name, each in by_name.items() if each.code == 0]
        assert accepted == ["listed labels, good.csv", "flags, whole"]
    if kind == "personal data":
        found = [each for name, each in by_name.items() if name.startswith("personal data")]
        assert all("personal data (data.pii=error)" in each.stderr for each in found) and len(found) == 10
        assert not any("anna@" in each.stdout + each.stderr for each in outcomes)
    if kind == "aspects":
        assert [each.case.name for each in outcomes if each.code == 0] == []
    if kind == "tools":
        assert [name for name, each in by_name.items() if each.code == 0] == ["tools, whole"]
    if kind == "preferences":  # a formula, a number and a long text are answers as any other
        names = ("columns are missing", "one row", "at odds", "equal answers", "all good", "all bad")
        named = {f"preferences, {objective}, {name}" for objective in ("dpo", "kto") for name in names}
        assert not [each.case.name for each in outcomes if each.code == 0 and each.case.name in named]
        assert any(each.code == 0 for each in outcomes)
    if kind == "images":  # not everything is refused
        assert by_name["whole pictures"].code == by_name["npz, whole"].code == 0
