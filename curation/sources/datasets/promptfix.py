"""PromptFix: a million pairs of damaged and restored images, of seven low-level tasks.

Released (huggingface.co/datasets/yeates/PromptfixData): `data/train-*.parquet` with the images `input_img`
and `processed_img`, and instruction, auxiliary_prompt (what the image shows), task_id.
"""

from curation.sources.datasets._edits import edit
from curation.sources.datasets._sample import Reader

READER = Reader(
    task="image_edit",
    annotations=("data/*.parquet", "*.parquet", "*/*.parquet"),
    licence="see yeates/PromptfixData",
    read=edit(
        "image_edit",
        ("input_img",),
        ("processed_img",),
        ("instruction", "instruction_prompt"),
        ("auxiliary_prompt",),
    ),
)
