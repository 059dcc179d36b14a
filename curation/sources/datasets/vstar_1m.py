"""VSTaR-1M: a million questions and answers about videos, by self-training on labels.

Released (huggingface.co/datasets/orrzohar/Video-STaR): `ft_json/kinetics700_tune_.json`,
`ft_json/starb_tune_.json` and `ft_json/finediving_tune_.json`, arrays of {id, video, conversations}. The
videos come from Kinetics-700, STAR (Charades) and FineDiving, and lie below the root at the paths that
records name.
"""

from curation.sources.datasets._chat import chat
from curation.sources.datasets._sample import Reader

READER = Reader(
    task="video_understanding",
    annotations=("ft_json/*_tune_*.json", "*_tune_*.json", "*.json"),
    licence="Apache-2.0",
    read=chat,
    folders=("", "videos"),
)
