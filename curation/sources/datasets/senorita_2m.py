"""Señorita-2M: two million edits of videos by specialists.

Released (huggingface.co/datasets/SENORITADATASET/Senorita): a folder for each kind of edit
(obj_removal_videos_upload, obj_swap_upload, local_style_transfer, style_transfer_upload, inpainting_upload,
outpainting, ...) with the clips of its archives unpacked in it, and lists of JSON, of {source_video_path,
target_video_path, instruction, enhanced_instruction}, whose paths are relative to the root
(`./obj_swap_upload/ 60/....mp4`). The enhanced instruction is taken where there is one.
"""

from curation.sources.datasets._edits import edit
from curation.sources.datasets._sample import Reader

READER = Reader(
    task="video_edit",
    annotations=("{*.json,*/*.json}", "{*.jsonl,*/*.jsonl}"),
    licence="CC-BY-NC-4.0",
    read=edit(
        "video_edit",
        ("source_video_path", "source_video"),
        ("target_video_path", "target_video"),
        ("enhanced_instruction", "instruction"),
    ),
)
