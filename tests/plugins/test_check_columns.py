"""Columns that cannot be read together, or that send people to keys that are not there, are refused with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.conftest import Written, line_of, options
from tunebook.data.content import Content
from tunebook.families.brief_to_text.data.content import BriefContent
from tunebook.families.brief_to_text.data.forms import BriefForm
from tunebook.families.image_classification.data.content import ImageContent
from tunebook.families.image_classification.data.decoded import Decoding
from tunebook.families.image_classification.data.resize import Square
from tunebook.families.text_classification.options import TextData
from tunebook.families.text_generation.data.content import ConversationContent
from tunebook.plugins import load_recipe_class
from tunebook.plugins.answers import columns_of
from tunebook.plugins.contract import BrokenContract
from tunebook.plugins.load import new_recipe

MORE = "    def columns(self, data):\n        return [*super().columns(data), {column}]\n"


@pytest.mark.parametrize(
    ("column", "what", "fix"),
    [
        ('Column("text", "title", "data.text", "any")', "name the role 'text' 2 times", "a role of its own"),
        ('Column("file", "title", "data.text", "any")', "call one 'file', which every row has", "than file, line"),
        ('Column("line", "title", "data.text", "any")', "call one 'line', which every row has", "than file, line"),
        ('Column("title", "title", "data.text", "words")', "'title' is 'words'", "text, label, labels, file, flag"),
        ('Column("title", "title", "data.titel", "any")', "chosen by 'data.titel'", "recipe.<option>"),
        ('Column("title", "title", "recipe.title", "any")', "chosen by 'recipe.title'", "recipe.<option>"),
        ('Column("title", "title", "titel", "any")', "chosen by 'titel'", "recipe.<option>"),
        ('Column("title", "t", "data.text", "any", choice="data.x={}")', "chosen by 'data.x'", "recipe.<option>"),
    ],
)
def test_a_column_that_cannot_be_is_refused(column: str, what: str, fix: str, written: Written):
    file = written(MORE.replace("{column}", column))
    recipe = new_recipe(load_recipe_class("routing"), options())
    with pytest.raises(BrokenContract) as caught:
        columns_of(recipe, TextData())
    assert what in caught.value.what and fix in str(caught.value.fix)
    assert caught.value.where == line_of(file, "def columns")


@pytest.mark.parametrize(
    ("content", "role"),
    [
        (ConversationContent(), "conversation"),
        (ConversationContent(), "text"),
        (BriefContent(BriefForm(brief="mr")), "brief"),
        (BriefContent(BriefForm(brief="mr")), "text"),
        (ImageContent(Square(8), Decoding(), Path("cache")), "pixels"),
    ],
)
def test_a_role_that_the_content_of_rows_adds_is_taken(content: Content, role: str, written: Written):
    written(f'    def columns(self, data):\n        return [Column("{role}", "title", "data.text", "any")]\n')
    recipe = new_recipe(load_recipe_class("routing"), options())
    assert [column.role for column in columns_of(recipe, TextData())] == [role]
    with pytest.raises(BrokenContract, match=f"call one '{role}', which every row has already"):
        columns_of(recipe, TextData(), content)


def test_columns_of_ones_own_are_taken(written: Written):
    own = 'Column("title", "title", "data.text", "any", choice="recipe.descriptions={}")'
    written(MORE.replace("{column}", own))
    recipe = new_recipe(load_recipe_class("routing"), options())
    assert [column.role for column in columns_of(recipe, TextData())] == ["text", "label", "title"]
