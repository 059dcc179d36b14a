"""LLaVA-Video-178K: captions, open questions and multiple choice about 178 thousand videos.

Released (huggingface.co/datasets/lmms-lab/LLaVA-Video-178K): a folder for each length and origin, such as
`0_30_s_academic_v0_1`, with `*_cap_processed.json`, `*_oe_*_qa_processed.json` and
`*_mc_*_qa_processed.json`, arrays of {id, data_source, video, conversations}, whose conversations say
`<image>` for the video. Videos are unpacked from the `*_videos_N.tar.gz` beside them.
"""

from curation.sources.datasets._chat import chat
from curation.sources.datasets._sample import Reader

READER = Reader(
    task="video_understanding",
    annotations=("*/*_processed.json", "*_processed.json", "*/*.json", "*.json"),
    licence="Apache-2.0",
    read=chat,
    folders=("", "videos"),
)
