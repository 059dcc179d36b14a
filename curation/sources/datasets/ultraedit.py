"""UltraEdit: four million edits of real images, some within a region.

Released (huggingface.co/datasets/BleachNick/UltraEdit, UltraEdit_500k, UltraEdit_Region_Based_100k):
`data/FreeForm_*.parquet` and `data/RegionBase*.parquet` with the images source_image, edited_image (and
mask_image, not used), and source_caption, target_caption, edit_prompt.
"""

from curation.sources.datasets._edits import edit
from curation.sources.datasets._sample import Reader

READER = Reader(
    task="image_edit",
    annotations=("data/*.parquet", "*.parquet", "*/*.parquet"),
    licence="CC-BY-4.0",
    read=edit("image_edit", ("source_image",), ("edited_image",), ("edit_prompt",), ("target_caption",)),
)
