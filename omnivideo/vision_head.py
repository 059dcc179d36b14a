"""The vision head (section 3.2): hidden states to continuous SigLIP2 tokens, one after another.

As in MetaMorph's VPiT, a predicted token goes back in through an input connector; in training the true token
does (teacher forcing), so one pass predicts all of them. The `query` mode asks with learned queries in a
single pass.
"""

from __future__ import annotations

from typing import Literal

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from omnivideo.reading import LanguageModel, Reading
from omnivideo.stepping import begin


class VisionHead(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers ships no types
    """Output head, input connector and, in `query` mode, the queries; nothing of the MLLM itself.

    `start` is added to the embedding of <BOI> or <BOV>, whose rows belong to the frozen MLLM in stage 1.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        hidden_size: int,
        vision_size: int,
        depth: int = 2,
        mode: Literal["autoregressive", "query"] = "autoregressive",
        max_tokens: int = 256,
    ) -> None:
        super().__init__()
        body = [layer for _ in range(depth - 1) for layer in (nn.Linear(hidden_size, hidden_size), nn.GELU())]
        self.head = nn.Sequential(nn.LayerNorm(hidden_size), *body, nn.Linear(hidden_size, vision_size))
        self.start = nn.Parameter(torch.zeros(2, hidden_size))
        self.mode = mode
        if mode == "autoregressive":
            self.connector = nn.Sequential(
                nn.LayerNorm(vision_size),
                nn.Linear(vision_size, hidden_size),
                nn.GELU(),
                nn.Linear(hidden_size, hidden_size),
            )
        else:
            self.queries = nn.Parameter(torch.randn(max_tokens, hidden_size) * 0.02)

    def forward(self, hidden: Tensor) -> Tensor:
        """[B, N, D] -> visual tokens [B, N, Dv]."""
        tokens: Tensor = self.head(hidden)
        return tokens

    def inputs(self, tokens: Tensor) -> Tensor:
        """What follows the marker in training: true tokens [B, N, Dv] -> N−1 input embeddings (N in query
        mode).
        """
        if self.mode == "query":
            return self.queries[: tokens.shape[1]].expand(len(tokens), -1, -1)
        shifted: Tensor = self.connector(tokens[:, :-1].to(self.dtype))
        return shifted


def teacher_forced(mllm: LanguageModel, head: VisionHead, prompt: Reading, targets: Tensor) -> Tensor:
    """Predict every target [B, N, Dv] from a prompt, which ends with its marker, and the targets before it,
    in one pass.
    """
    whole = prompt.followed_by(head.inputs(targets).to(prompt.embeds.dtype))
    hidden = mllm(whole.embeds, whole.mask, positions=whole.positions)
    predicted: Tensor = head(hidden[:, -targets.shape[1] :])
    return predicted


@torch.no_grad()
def free_running(mllm: LanguageModel, head: VisionHead, prompt: Reading, num_tokens: int) -> Tensor:
    """Generate [B, num_tokens, Dv], each token from those generated before it."""
    if head.mode == "query":
        shape = (len(prompt.embeds), num_tokens, head.config.vision_size)
        return teacher_forced(mllm, head, prompt, prompt.embeds.new_empty(shape))
    hidden, step = begin(mllm, prompt, num_tokens)
    tokens = [head(hidden)]
    while len(tokens) < num_tokens:
        hidden = step(head.connector(tokens[-1]).to(prompt.embeds.dtype))
        tokens.append(head(hidden))
    return torch.cat(tokens, dim=1)
