from __future__ import annotations

import time

import pytest

from tests.personal import LOOKALIKES, MISSED, PLANTED
from tunebook.data.personal import CARD, EMAIL, IBAN, IP, PHONE, find_personal, masked
from tunebook.data.personal_numbers import IBAN_LENGTHS, is_luhn


@pytest.mark.parametrize(("kind", "count"), [(EMAIL, 18), (PHONE, 48), (CARD, 17), (IBAN, 16), (IP, 9)])
def test_everything_that_is_planted_is_found_as_it_stands_and_as_nothing_else(kind: str, count: int) -> None:
    found = 0
    for value, around in PLANTED[kind]:
        text = around.format(value)
        found += [(each.kind, text[each.start : each.end]) for each in find_personal(text)] == [(kind, value)]
    assert (found, len(PLANTED[kind])) == (count, count)


def test_of_105_look_alikes_none_is_taken_for_personal_data() -> None:
    assert len(LOOKALIKES) == 105
    assert {text: find_personal(text) for text in LOOKALIKES if find_personal(text)} == {}


def test_the_forms_that_the_docs_say_are_missed_are_missed() -> None:
    assert {text: find_personal(text) for text in MISSED if find_personal(text)} == {}


def test_several_in_one_text_are_found_in_their_order() -> None:
    text = "I am anna@example.com, +49 30 901820, IBAN DE89 3704 0044 0532 0130 00. Charge 4111 1111 1111 1111."
    assert [each.kind for each in find_personal(text)] == [EMAIL, PHONE, IBAN, CARD]
    assert masked(text) == "I am [e-mail address], [phone number], IBAN [IBAN]. Charge [payment card]."


def test_a_masked_text_holds_nothing_of_what_was_planted() -> None:
    for cases in PLANTED.values():
        for value, around in cases:
            assert value not in masked(around.format(value))
    for text in LOOKALIKES:
        assert masked(text) == text


def test_one_changed_digit_makes_no_card_and_no_iban() -> None:
    for digit in "023456789":
        assert not find_personal(f"4111 1111 1111 11{digit}1 is none")
        assert not find_personal(f"DE89 3704 0044 0532 013{digit} 01 is none")
    assert is_luhn("79927398713") and not is_luhn("79927398710")  # the example of ISO/IEC 7812-1
    assert len(IBAN_LENGTHS) > 80 and IBAN_LENGTHS["MT"] == 31 and IBAN_LENGTHS["NO"] == 15


@pytest.mark.parametrize(
    "piece", ["a@", "a.", "1 ", "DE11 ", "4111 ", "+4 ", "1.1.1.1 ", "(0", "a@b.c.", "2001:", "at (at) ", "0", "tel "]
)
def test_a_text_made_to_be_slow_is_not(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    start = time.process_time()
    masked(text)
    assert time.process_time() - start < 5


def test_ten_thousand_addresses_in_one_text_are_found_in_time() -> None:
    text = " ".join(f"user{i}@example.com" for i in range(10_000))
    assert len(find_personal(text)) == 10_000
