from __future__ import annotations

from pathlib import Path

import pytest

from tests.user_error import user_error
from tunebook.errors import UserError
from tunebook.families.brief_to_text.data.brief import Brief
from tunebook.families.brief_to_text.data.template import PromptTemplate

MILL = Brief(
    (("name", "Tollgate"), ("features", ("21 cm", "six settings")), ("made in", "Leeds")),
    must_mention=("21 cm", "$58"),
    must_avoid=("gourmet",),
    channel="tweet",
    max_characters=280,
    max_words=50,
)
LIMITS = ("at most 280 characters", "at most 50 words")


def template(folder: Path, text: str, fields: list[str] | None = None) -> PromptTemplate:
    path = folder / "own.jinja"
    path.write_text(text, encoding="utf-8")
    return PromptTemplate.of(path, fields)


def told(folder: Path, text: str, fields: list[str] | None = None) -> UserError:
    with pytest.raises(UserError) as error:
        template(folder, text, fields)
    assert str(error.value.where).startswith("recipe.template")
    assert error.value.what.startswith(str(folder / "own.jinja"))
    return error.value


def test_the_shipped_template_writes_what_there_is_and_ends_where_copy_begins() -> None:
    prompt = PromptTemplate.of()
    assert prompt.render(MILL) == (
        "name: Tollgate\nfeatures: 21 cm; six settings\nmade in: Leeds\nchannel: tweet\nmust mention: 21 cm; $58\n"
        "must avoid: gourmet\nat most 280 characters\nat most 50 words\ncopy:\n"
    )
    assert prompt.render(Brief((("name", "{{ 7 * 7 }} & <b>"),))) == "name: {{ 7 * 7 }} & <b>\ncopy:\n"


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("Sell {{ name }} ({{ fields['made in'] }}).", "Sell Tollgate (Leeds)."),
        ("{{ name | upper }}\n", "TOLLGATE\n"),
        ("{% for each in features %}\n- {{ each }}\n{% endfor %}", "- 21 cm\n- six settings\n"),
        (
            "{{ features }} / {{ features | join(', ') }} / {{ features[0] }}",
            "21 cm; six settings / 21 cm, six settings / 21 cm",
        ),
        ("{% if channel == 'tweet' %}Tweet: {% endif %}{{ name }}", "Tweet: Tollgate"),
        ("{{ name }}{% if price is defined %} at {{ price }}{% endif %}.", "Tollgate."),
        ("{{ fields.get('made in') }}", "Leeds"),
        ("{% for field, value in fields.items() if field in ['made in'] %}{{ value }}{% endfor %}", "Leeds"),
        (
            "{% for field in fields %}{{ field }}={{ fields[field] }} {% endfor %}",
            "name=Tollgate features=21 cm; six settings made in=Leeds ",
        ),
        ("{{ name }} {{ must_mention[1] if must_mention }} {{ max_words or 9 }}", "Tollgate $58 50"),
    ],
)
def test_a_template_can_be_swapped(tmp_path: Path, text: str, prompt: str) -> None:
    found = template(tmp_path, text)
    assert found.render(MILL) == prompt
    assert (found.text, found.name) == (text, str(tmp_path / "own.jinja"))


def test_constraints_stand_before_fields_of_their_name(tmp_path: Path) -> None:
    brief = Brief((("name", "A"), ("channel", "a field")), channel="tweet")
    assert template(tmp_path, "{{ name }} {{ channel or '' }} {{ fields.channel }}").render(brief) == "A tweet a field"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("{{ name }}\n{{ name", 2, "is not a valid template: unexpected end of template"),
        ("{% for x in features %}{{ x }}", 1, "is not a valid template: Unexpected end of template"),
        ("{{ name | shout }}", 1, "is not a valid template: No filter named 'shout'."),
        ("{{ name | random }}", 1, "is not a valid template: No filter named 'random'."),
        (
            "\n{{ name.__class__.__mro__ }}",
            2,
            "does what templates may not do: access to attribute '__class__'",
        ),
        (
            "{{ name }}{{ ''.format.__globals__['os'] }}",
            1,
            "does what templates may not do: access to attribute '__globals__'",
        ),
        (
            "{{ name }}{{ fields.update({'a': 'b'}) }}",
            1,
            "does what templates may not do: access to attribute 'update'",
        ),
        (
            "{{ name }}{{ must_mention.append('b') }}",
            1,
            "does what templates may not do: access to attribute 'append'",
        ),
        (
            "{{ name }}{{ '{0.__class__}'.format(name) }}",
            1,
            "does what templates may not do: access to attribute '__class__'",
        ),
        ("{% include '/etc/passwd' %}", 1, "fails: no loader for this environment specified"),
        ("{% for i in range(100001) %}{% endfor %}", 1, "fails: Range too big."),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", 1, "fails: maximum recursion depth"),
        ("{{ name + 1 }}", 1, "fails: can only concatenate str"),
        ("{{ name }}\n\n{{ channel }}", 3, "uses a field that the brief lacks: the expression there is undefined"),
    ],
)
def test_what_a_template_does_wrong_is_told_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    error = told(tmp_path, text)
    assert error.where == f"recipe.template, line {line}"
    assert message in error.what


def test_what_no_brief_has_is_told_with_what_there_is(tmp_path: Path) -> None:
    error = told(tmp_path, "{{ name }}: {{ featurs }}", ["name", "features"])
    assert error.what.endswith("uses a field that the brief lacks: 'featurs' is undefined")
    assert "did you mean 'features'? this brief has name, features, and every one fields, must_mention" in str(
        error.fix
    )
    # What only this brief lacks cannot be known before.
    found = template(tmp_path, "{{ name }} {{ price }}")
    with user_error("template.unknown-field", match="'price' is undefined"):
        found.render(MILL)


@pytest.mark.parametrize("text", ["Write an ad.", "", "{{ fields | length }} fields", "{{ fields.keys() | join }}"])
def test_a_template_that_hears_nothing_of_the_brief_is_refused(tmp_path: Path, text: str) -> None:
    assert "makes the same prompt from two different briefs" in told(tmp_path, text).what


def test_a_template_that_keeps_no_value_is_refused(tmp_path: Path) -> None:
    text = "{% if 'a' in name[0] %}One{% else %}Two{% endif %}"
    assert "without any of a brief's fields" in told(tmp_path, text).what


def test_a_prompt_has_an_end(tmp_path: Path) -> None:
    text = "{{ name }}{% for i in range(99999) %}{% for j in range(99999) %}word {% endfor %}{% endfor %}"
    assert "a prompt of more than 100,000 characters" in told(tmp_path, text).what


def test_parts_nested_without_end_are_refused(tmp_path: Path) -> None:
    assert "is nested too deeply" in told(tmp_path, "{{ " + "(" * 5000 + "name" + ")" * 5000 + " }}").what


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "latin.jinja").write_bytes(b"{{ name }} caf\xe9")
    for file, reason in (
        (tmp_path / "none.jinja", "No such file"),
        (tmp_path, "Is a"),
        (tmp_path / "latin.jinja", "UTF-8"),
    ):
        with user_error("template.unreadable", where="recipe.template", match=reason) as error:
            PromptTemplate.of(file)
        assert (error.value.where, str(file) in error.value.what) == ("recipe.template", True)
