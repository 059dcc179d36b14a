"""Words of captions: how large the vocabulary is, which phrases come again and again, what was refused.

Over a sample of captions: the smallest sample ids, which are hashes and so a random choice that stays.
"""

from __future__ import annotations

from typing import Any

from curation.audit.funnel import share
from curation.audit.rows import Rows

SAMPLE = 20_000  # captions
WORDS = 4  # of a phrase
LOOP = 3  # times that a caption has one phrase, from which on its writer was caught in a loop
_MOST = 12

_TEXTS = f"""
texts AS (
SELECT sample_id, regexp_extract_all(lower(left(caption, 4000)), '[\\p{{L}}\\p{{N}}]+') AS words FROM rows
WHERE verdict = 'kept' AND coalesce(trim(caption), '') <> '' ORDER BY sample_id LIMIT {SAMPLE}
)
"""
_PHRASES = f"""
phrases AS (
SELECT sample_id, array_to_string(words[i:i + {WORDS - 1}], ' ') AS phrase, count(*) AS times
FROM texts, unnest(generate_series(1, len(words) - {WORDS - 1})) AS places(i)
GROUP BY ALL
)
"""


def texts(rows: Rows) -> dict[str, Any]:
    """Vocabulary and repeated phrases of the kept clips' captions, and captions refused."""
    totals = rows.ask(f"""
        WITH {_TEXTS}, words AS (SELECT unnest(words) AS word FROM texts)
        SELECT (SELECT count(*) FROM texts) AS captions, count(*) AS words, count(DISTINCT word) AS vocabulary
        FROM words
    """)
    once = rows.ask(f"""
        WITH {_TEXTS}, words AS (SELECT unnest(words) AS word FROM texts),
        counted AS (SELECT word, count(*) AS times FROM words GROUP BY word)
        SELECT count(*) AS words FROM counted WHERE times = 1
    """)
    phrases = rows.ask(f"""
        WITH {_TEXTS}, {_PHRASES}
        SELECT left(phrase, 200) AS phrase, count(*) AS captions FROM phrases
        GROUP BY ALL HAVING count(*) > 1 ORDER BY captions DESC, phrase LIMIT {_MOST}
    """)
    loops = rows.ask(f"""
        WITH {_TEXTS}, {_PHRASES}
        SELECT count(DISTINCT sample_id) AS captions FROM phrases WHERE times >= {LOOP}
    """)
    refused = rows.ask("""
        SELECT coalesce(reason, '(none)') AS reason, count(*) AS clips FROM rows
        WHERE "filter" = 'caption' GROUP BY ALL ORDER BY clips DESC, reason
    """)
    counted = totals["rows"][0]
    found = [{**row, "share": share(row["captions"], counted["captions"])} for row in phrases["rows"]]
    return {
        **counted,
        "once": once["rows"][0]["words"],
        "phrase_words": WORDS,
        "phrases": found,
        "loops": loops["rows"][0]["captions"],
        "refused": refused["rows"],
        "figures": {"totals": totals, "once": once, "phrases": phrases, "loops": loops, "refused": refused},
    }
