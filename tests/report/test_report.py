from __future__ import annotations

import io
import math
import re
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser

import pytest
from PIL import Image

from tunebook.report.report import (
    Answer,
    Dialogue,
    Dialogues,
    Figure,
    Gallery,
    Picture,
    Report,
    Table,
    Text,
    render,
    show_hint,
    show_name,
    show_number,
)
from tunebook.statistics.intervals import Score

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def _page() -> str:
    score = Score("accuracy", 0.81234, 0.75, 0.86, 120)
    undefined = Score("auroc", math.nan, math.nan, math.nan, 120, reason='no "b"')
    sections = [
        Table(ATTACK, ["metric", "n", ATTACK], [["accuracy", 12345, score], [ATTACK, 7, undefined]], ATTACK),
        Figure("Picture", '<svg role="img"><title>t</title></svg>', "A note."),
        Text("Words", [ATTACK, "plain"]),
    ]
    return render(Report(ATTACK, ATTACK, [ATTACK, "Second."], sections))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_runs_nothing_and_fetches_nothing() -> None:
    page = _page()
    tags = _Tags()
    tags.feed(page)
    assert not tags.open
    assert not {"script", "img", "link", "iframe", "object"} & set(tags.opened)
    assert page.count("&lt;script&gt;alert(1)") == page.count("alert(1)")
    assert not re.search(r"https?://|//[a-z]|@import|url\(", page)
    assert "default-src 'none'" in page


def test_sections_come_in_order_with_their_notes() -> None:
    page = _page()
    places = [page.index(part) for part in ("Second.", "12\N{NARROW NO-BREAK SPACE}345", "A note.", "plain")]
    assert places == sorted(places)
    assert '<svg role="img"><title>t</title></svg>' in page


def test_numbers_stand_to_the_right_and_scores_carry_their_interval() -> None:
    page = _page()
    assert re.search(
        r'<td class="number"><span class="value">0\.812</span>\s*<span class="interval">0\.750 to 0\.860',
        page,
    )
    assert '<td class="number" title="no &#34;b&#34;"><span class="value">\N{EN DASH}</span></td>' in page
    assert re.search(r'<th scope="col" class="number">n</th>', page)
    assert re.search(r'<th scope="col">metric</th>', page)


def test_a_column_is_numeric_only_when_every_cell_is() -> None:
    table = Table("t", ["a", "b", "c", "d"], [["1 200", 3, "4", None], ["12 %", 0.5, "four stars", -1]])
    assert [table.numeric(i) for i in range(4)] == [True, True, False, True]
    assert not Table("t", ["a"], []).numeric(0)


class _Pictures(HTMLParser):
    """The attributes of each picture and the text of each caption, as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.captions: list[str] = []
        self._in_caption = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs))
        if tag == "figcaption":
            self._in_caption = True
            self.captions.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_caption = self._in_caption and tag != "figcaption"

    def handle_data(self, data: str) -> None:
        if self._in_caption:
            self.captions[-1] += data


def test_a_gallery_holds_its_pictures_whole() -> None:
    files = []
    for colour in (10, 200):
        file = io.BytesIO()
        Image.new("L", (4, 3), colour).save(file, format="PNG")
        files.append(file.getvalue())
    gallery = Gallery("Worst", [Picture(files[0], "first", "one"), Picture(files[1], ATTACK, f'"{ATTACK}')], "A note.")
    page = render(Report("t", "", [], [gallery]))
    found = _Pictures()
    found.feed(page)
    assert [b64decode((image["src"] or "").partition("data:image/png;base64,")[2]) for image in found.images] == files
    assert [image["alt"] for image in found.images] == ["one", f'"{ATTACK}']
    assert all(set(image) == {"src", "alt"} for image in found.images)
    assert found.captions == ["first", ATTACK]
    assert page.index("Worst") < page.index("data:image/png") < page.index("A note.")
    tags = _Tags()
    tags.feed(page)
    assert not tags.open
    assert tags.opened.count("img") == tags.opened.count("figure") == 2
    assert not {"script", "link", "iframe", "object"} & set(tags.opened)
    assert "img-src data:" in page


class _Boxes(HTMLParser):
    """The text inside each element of a class, as a browser reads it."""

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self.wanted = wanted
        self.found: list[tuple[list[str], list[str]]] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = (dict(attrs).get("class") or "").split()
        if self.wanted in classes:
            self.found.append((classes, []))
        if self._depth or self.wanted in classes:
            self._depth += 1

    def handle_endtag(self, tag: str) -> None:
        self._depth = max(self._depth - 1, 0)

    def handle_data(self, data: str) -> None:
        if self._depth and data.strip():
            self.found[-1][1].append(data)


def _boxes(page: str, wanted: str) -> list[tuple[list[str], list[str]]]:
    parser = _Boxes(wanted)
    parser.feed(page)
    return parser.found


def test_a_dialogue_shows_turns_and_answers_side_by_side() -> None:
    turns = [("system", "Be kind."), ("user", f"{ATTACK}\nsecond line"), ("assistant", "Hello."), ("tool", ATTACK)]
    answers = [Answer("reference", "right"), Answer("tuned", ATTACK, f"BLEU 3.1 {ATTACK}"), Answer("before", " \n")]
    dialogues = Dialogues("Answers", [Dialogue(f"One {ATTACK}", turns, answers, "Why."), Dialogue("Two", [], answers)])
    page = render(Report("t", "", [], [dialogues]))
    assert [(classes[1:], words) for classes, words in _boxes(page, "turn")] == [
        (["aside"], ["system", "Be kind."]),
        (["user"], ["user", f"{ATTACK}\nsecond line"]),
        (["assistant"], ["assistant", "Hello."]),
        (["aside"], ["tool", ATTACK]),
    ]
    cards = _boxes(page, "answer")
    assert [classes[1:] for classes, _ in cards] == [["reference"], ["tuned"], []] * 2
    assert [words for _, words in cards[:3]] == [
        ["reference", "right"],
        ["tuned", ATTACK, f"BLEU 3.1 {ATTACK}"],
        ["before", "(nothing)"],
    ]
    places = [page.index(part) for part in ("Answers", "Why.", "Two")]
    assert places == sorted(places)
    tags = _Tags()
    tags.feed(page)
    assert not tags.open
    assert not {"script", "img", "link", "iframe", "object"} & set(tags.opened)


@pytest.mark.parametrize(
    "value,shown",
    [
        (1234, "1\N{NARROW NO-BREAK SPACE}234"),
        (0.12345, "0.123"),
        (9.4567, "9.457"),
        (23.4567, "23.46"),
        (412.34, "412.3"),
        (-1234.56, "-1\N{NARROW NO-BREAK SPACE}235"),
        (math.inf, "inf"),
        (None, "\N{EN DASH}"),
        (math.nan, "\N{EN DASH}"),
        ("text", "text"),
        (True, "True"),
    ],
)
def test_numbers_are_written_for_people(value: object, shown: str) -> None:
    assert show_number(value) == shown


def test_metric_names_are_written_for_people() -> None:
    assert show_name("macro_f1") == "macro F1"
    names = ("bleu", "chrf", "rouge_1", "rouge_2", "rouge_l", "distinct_1", "distinct_2", "fact_recall", "perplexity")
    assert [show_name(name) for name in names] == [
        "BLEU",
        "chrF",
        "ROUGE-1",
        "ROUGE-2",
        "ROUGE-L",
        "distinct-1",
        "distinct-2",
        "fact recall",
        "perplexity",
    ]


@pytest.mark.parametrize(
    "name,higher,hint",
    [
        ("accuracy", True, ""),
        ("perplexity", False, " (lower is better)"),
        ("bleu", True, " (0 to 100)"),
        ("length_ratio", True, " (best at 1)"),
    ],
)
def test_how_a_metric_is_read_is_said(name: str, higher: bool, hint: str) -> None:
    assert show_hint(Score(name, 0.5, 0.4, 0.6, 9, higher_is_better=higher)) == hint


def test_evidence_is_imported_without_anything_heavy() -> None:
    code = (
        "import sys, tunebook.families.text_classification.report, tunebook.report.files; "
        "print({'torch', 'torchmetrics', 'matplotlib', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
