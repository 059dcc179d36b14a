"""HIVE: a million edits of images, chosen by human feedback.

Released (github.com/salesforce/HIVE, scripts/download_hive_data.sh): `data/training/training_1M.jsonl`, a
line each of {instruction, source_img, edited_img}, paths of images below the same folder.
"""

from curation.sources.datasets._edits import edit
from curation.sources.datasets._sample import Reader

READER = Reader(
    task="image_edit",
    annotations=("data/training/*.jsonl", "training/*.jsonl", "training*.jsonl", "*.jsonl"),
    licence="HIVE terms: research",
    read=edit("image_edit", ("source_img",), ("edited_img",), ("instruction",)),
)
