from __future__ import annotations

import torch

from omnivideo.model import OmniVideoModel
from omnivideo.writing import choose, write


def test_nucleus_holds_the_fewest_likeliest_tokens() -> None:
    """With top-p 0.6 only the tokens that make up the first 60% are ever drawn."""
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().expand(2000, -1)
    drawn = choose(logits, temperature=1.0, top_p=0.6, generator=torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == {0, 1}
    assert abs((drawn == 0).float().mean() - 0.5 / 0.8) < 0.05


def test_temperature_zero_is_greedy() -> None:
    """At temperature 0 the likeliest token is taken."""
    assert choose(torch.tensor([[0.1, 2.0, 1.0]]), 0, 0.5, None).tolist() == [1]


def test_writing_with_a_cache_equals_reading_again(model: OmniVideoModel) -> None:
    """Greedy answers of a padded batch are those of recomputing the whole sequence at each step."""
    questions = ["why?", "what is the colour of it?"]
    prompt = model.question_prompt(questions)
    options = {"max_new_tokens": 6, "temperature": 0.0, "top_p": 1.0}
    answers = write(model.mllm, model.text_head, prompt, (-5,), **options)  # type: ignore[arg-type]
    for row, answer in enumerate(answers):
        alone, alone_mask, _ = model.question_prompt(questions[row : row + 1])
        for token in answer:
            with torch.no_grad():
                expected = model.text_head(model.mllm(alone, alone_mask)[:, -1:]).argmax()
            assert token == expected
            alone = torch.cat([alone, model.mllm.embed(expected.view(1, 1))], dim=1)
            alone_mask = torch.cat([alone_mask, alone_mask.new_ones(1, 1)], dim=1)


def test_writing_stops_and_obeys_bans(model: OmniVideoModel) -> None:
    """An answer ends before a stop token, and banned tokens never appear."""
    prompt = model.question_prompt(["why?"])
    greedy = {"max_new_tokens": 4, "temperature": 0.0, "top_p": 1.0}
    first = write(model.mllm, model.text_head, prompt, (-5,), **greedy)[0]  # type: ignore[arg-type]
    assert write(model.mllm, model.text_head, prompt, (first[0],), **greedy) == [[]]  # type: ignore[arg-type]
    banned = write(model.mllm, model.text_head, prompt, (-5,), banned=(first[0],), **greedy)[0]  # type: ignore[arg-type]
    assert first[0] not in banned
