"""Words that are not names despite a capital, and words by which German is detected."""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


NO_NAMES = _set(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december christmas easter halloween hanukkah diwali ramadan eid thanksgiving valentine "
    "mum mom dad mother father grandma grandpa granny nan nana auntie aunt uncle mr mrs ms dr sir madam god internet "
    "ok tv diy rsvp asap bbq am pm ps faq vip omg lol dj pc id"
)
"""Days, months and feasts (scenery, where no number makes them a date), kin, titles, common short forms."""
ORDINARY = _set(
    "a about after all also always an and any are as at be been best big but buy by call can come do dont don't "
    "each ends enjoy every extra fast final first for free from get go good great had has have he her here his hot "
    "how hurry if in into is isn't it its join just last less limited located love many me more most much must my "
    "need never new next no nor not now of off on one only open or order our out over per plus really sale save she "
    "shop so some soon still stop stay super than that the their them then there these they this those to today too "
    "try two under up us very visit wait want was we were what when where which while who whose why will win with "
    "within without wow yes you your"
)
"""Function words and the most frequent words of ads: no names, be they in capitals for stress or after a lost stop."""
GERMAN = _set(
    "und der das mit für ist nicht auf ein eine einen dem von zum zur im bei auch oder sich wir sie ihr ihre aus nach "
    "ohne wie dein deine"
)
"""Function words of German, whose nouns all have a capital."""
