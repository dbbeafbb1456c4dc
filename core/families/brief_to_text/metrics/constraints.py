"""What a brief asks of its copy: words that must or must not be there, and how long it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tunebook.families.brief_to_text.metrics.lengths import Counting, count_characters, count_words
from tunebook.families.brief_to_text.metrics.phrases import says


@dataclass(frozen=True)
class Limits:
    """How long a copy for one channel may be; None is no limit."""

    max_characters: int | None = None
    max_words: int | None = None
    counting: Counting = Counting.plain
    source: str = "no limit is known for this channel"
    """Where the numbers come from."""


CHANNELS: dict[str, Limits] = {
    "ad_headline": Limits(30, None, Counting.double_width, "Google Ads refuses longer headlines of search ads"),
    "ad_description": Limits(90, None, Counting.double_width, "Google Ads refuses longer descriptions of search ads"),
    "tweet": Limits(280, None, Counting.x, "X refuses longer posts of accounts that do not pay"),
    # Nothing refuses a longer subject (RFC 5322 folds it); mail programs cut it off.
    "email_subject": Limits(60, None, Counting.plain, "Mailchimp's advice; mail programs truncate longer subjects"),
    "product_page": Limits(source="a page has no limit"),
}
_ALSO = {"twitter": "tweet", "x": "tweet", "x_post": "tweet", "subject_line": "email_subject"}


def limits_of(channel: str | None, overrides: Mapping[str, Mapping[str, int | None]] | None = None) -> Limits:
    """Give the limits of a channel, however its name is spelled (`Ad headline`, `ad-headline`).

    A channel that is not known has no limits, and its `source` says so. What is given for one of its names holds for
    all of them (tweet, x, x_post, twitter).

    Args:
        channel: Its name; None or empty where the brief names none.
        overrides: Other limits by channel: `{"email_subject": {"max_characters": 45, "max_words": 9}}`. What is not
            named stays; None takes a limit away.
    """
    name = channel_name(channel or "")
    known = CHANNELS.get(name, Limits())
    own = {channel_name(each): limits for each, limits in (overrides or {}).items()}.get(name)
    if own is None:
        return known
    return replace(
        known,
        max_characters=own.get("max_characters", known.max_characters),
        max_words=own.get("max_words", known.max_words),
        source="given",
    )


def channel_name(channel: str) -> str:
    """Give the one name of a channel, however it is spelled: `tweet` for `X post`."""
    plain = "_".join(channel.casefold().replace("-", " ").replace("_", " ").split())
    return _ALSO.get(plain, plain)


@dataclass(frozen=True)
class Constraints:
    """What one copy has to keep to."""

    must_mention: tuple[str, ...] = ()
    """Facts and words that it has to state; see `phrases.says`."""
    must_avoid: tuple[str, ...] = ()
    """Words and phrases that may not stand in it; see `phrases.says`."""
    max_characters: int | None = None
    max_words: int | None = None
    counting: Counting = Counting.plain
    """What counts as one character."""

    def within(self, limits: Limits) -> Constraints:
        """The same with a channel's limits where the brief gives none of its own."""
        return replace(
            self,
            max_characters=limits.max_characters if self.max_characters is None else self.max_characters,
            max_words=limits.max_words if self.max_words is None else self.max_words,
            counting=limits.counting,
        )


def impossible(constraints: Constraints) -> list[str]:
    """Say which constraints no copy can meet; empty where none contradict each other."""
    conflicts = []
    for word in filter(str.strip, constraints.must_avoid):
        conflicts += [f'has to say "{m}" but not "{word}"' for m in constraints.must_mention if says(m, word)]
    # Of mentions that overlap the longer one holds the shorter, so that each is not counted for itself
    separate = [
        each
        for place, each in enumerate(constraints.must_mention)
        if not any(
            says(other, each) and (len(other) > len(each) or at < place)
            for at, other in enumerate(constraints.must_mention)
            if at != place
        )
    ]
    together = " ".join(separate)
    sizes = (
        ("characters", count_characters(together, constraints.counting), constraints.max_characters),
        ("words", count_words(together), constraints.max_words),
    )
    conflicts += [
        f"what has to be said is {has} {what} long, and {allowed} are allowed"
        for what, has, allowed in sizes
        if allowed is not None and has > allowed
    ]
    return conflicts
