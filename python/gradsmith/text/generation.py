# SPDX-License-Identifier: Apache-2.0
"""Writing with a language model: greedy, top-k, nucleus and beam search.

A language model is here any function from tokens (N, T) to the scores (N, V) of the token that
comes next, such as ``lambda tokens: model(tokens)[:, -1]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from gradsmith.autograd import no_grad
from gradsmith.ops.creation import tensor
from gradsmith.ops.elementwise import div, ge, gt, logical_and, lt, sub, where
from gradsmith.ops.indexing import gather
from gradsmith.ops.joining import cat
from gradsmith.ops.options import check_int, check_number
from gradsmith.ops.random import multinomial
from gradsmith.ops.reduce import cumsum
from gradsmith.ops.softmax import log_softmax, softmax
from gradsmith.random import Generator
from gradsmith.tensor import Tensor, array_of

NextScores: TypeAlias = Callable[[Tensor], Tensor]


def _check_scores(op: str, logits: Tensor) -> None:
    if array_of(op, logits, "logits").ndim == 0:
        raise ValueError(f"{op}: logits have no dimension, expected (..., V)")


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Return scores (..., V) with all but the k highest, and what equals the lowest of these, -inf.

    Fan, Lewis, Dauphin, "Hierarchical neural story generation", 2018.

    Raises:
        ValueError: k is below 1.
    """
    _check_scores("keep_top_k", logits)
    if check_int("keep_top_k", "k", k) < 1:
        raise ValueError(f"keep_top_k: k is {k}, expected at least 1")
    if k >= logits.shape[-1]:
        return logits
    lowest = logits.topk(k, -1).values[..., -1:]
    return where(ge(logits, lowest), logits, -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Return scores (..., V) with all but the nucleus -inf.

    The nucleus is the smallest set of the likeliest tokens that hold at least the probability p
    (Holtzman et al., "The curious case of neural text degeneration", 2020).

    Raises:
        ValueError: p is not in (0, 1].
    """
    _check_scores("keep_top_p", logits)
    if not 0 < check_number("keep_top_p", "p", p) <= 1:
        raise ValueError(f"keep_top_p: p is {p}, expected above 0 and at most 1")
    ordered, places = logits.sort(-1, True)
    shares = softmax(ordered, -1)
    before = sub(cumsum(shares, -1), shares)
    kept = logical_and(lt(before, p), gt(shares, 0))
    back = places.argsort(-1)
    return where(gather(kept, -1, back), logits, -math.inf)


def sample_token(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Return a token for each row of scores (N, V): int64 (N,).

    Args:
        logits: the scores before softmax.
        temperature: divides them; 0 takes the highest (greedy).
        top_k: choose among so many of the likeliest.
        top_p: choose in the nucleus of this probability.
        generator: where the random numbers come from; None: the library's generator.

    Raises:
        ValueError: scores of another rank, or an option out of range.
    """
    if array_of("sample_token", logits, "logits").ndim != 2:
        raise ValueError(f"sample_token: logits have shape {logits.shape}, expected (N, V)")
    if check_number("sample_token", "temperature", temperature) < 0:
        raise ValueError(f"sample_token: temperature is {temperature}, expected at least 0")
    if temperature == 0:
        return logits.argmax(-1)
    scores = div(logits, temperature)
    if top_k is not None:
        scores = keep_top_k(scores, top_k)
    if top_p is not None:
        scores = keep_top_p(scores, top_p)
    return multinomial(softmax(scores, -1), 1, generator=generator).squeeze(-1)


def generate(
    next_scores: NextScores,
    prompt: Tensor,
    length: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Return prompts (N, T) with ``length`` tokens more, drawn one by one: int64 (N, T + length).

    >>> import gradsmith as gs
    >>> successor = gs.eye(4).roll(1, 1)
    >>> generate(lambda tokens: successor[tokens[:, -1]], gs.tensor([[0]]), 3, temperature=0)
    tensor([[0, 1, 2, 3]])

    Args:
        next_scores: the language model.
        prompt: at least one token each.
        length: how many to write.
        temperature: as `sample_token` takes them, like the rest.
        top_k: see there.
        top_p: see there.
        generator: see there.

    Raises:
        ValueError: a prompt without tokens, or an option out of range.
    """
    shape = array_of("generate", prompt, "prompt").shape
    if len(shape) != 2 or shape[1] < 1 or check_int("generate", "length", length) < 0:
        raise ValueError(
            f"generate: prompt has shape {shape} and length is {length}, expected (N, T) "
            "with T >= 1 and at least 0"
        )
    tokens = prompt
    with no_grad():
        for _ in range(length):
            chosen = sample_token(next_scores(tokens), temperature, top_k, top_p, generator)
            tokens = cat([tokens, chosen.unsqueeze(1)], 1)
    return tokens


def beam_search(
    next_scores: NextScores,
    prompt: Tensor | Sequence[int],
    length: int,
    width: int = 4,
    end: int | None = None,
    length_penalty: float = 0.0,
) -> list[tuple[list[int], float]]:
    """Return the likeliest continuations of one prompt, best first, with their log-probabilities.

    Each step extends the ``width`` best beginnings by every token and keeps the ``width`` best of
    these. What has written ``end`` is set aside. The value that orders results is the
    log-probability over ``((5 + L) / 6) ** length_penalty`` of L written tokens (Wu et al., 2016).

    Args:
        next_scores: the language model.
        prompt: (T,), at least one token.
        length: the most tokens to write.
        width: how many beginnings are kept, and results returned.
        end: the token that ends a text.
        length_penalty: 0 prefers short texts, 1 nearly divides by the length.

    Raises:
        ValueError: the prompt is empty, or length or width is below 1.
    """
    device = prompt.device if isinstance(prompt, Tensor) else None
    start = prompt.tolist() if isinstance(prompt, Tensor) else list(prompt)
    if not start or min(length, check_int("beam_search", "width", width)) < 1:
        raise ValueError(
            f"beam_search: prompt has {len(start)} tokens, length is {length}, width is {width}, "
            "expected all at least 1"
        )

    def value(beam: tuple[list[int], float]) -> float:
        written = len(beam[0]) - len(start)
        return float(beam[1] / ((5 + written) / 6) ** length_penalty)

    beams: list[tuple[list[int], float]] = [(start, 0.0)]
    finished: list[tuple[list[int], float]] = []
    with no_grad():
        for _ in range(length):
            scores = next_scores(tensor([tokens for tokens, _ in beams], device=device))
            best = log_softmax(scores, -1).topk(min(width, scores.shape[-1]), -1)
            ways = [
                ([*tokens, token], total + step)
                for (tokens, total), row, steps in zip(
                    beams, best.indices.tolist(), best.values.tolist(), strict=True
                )
                for token, step in zip(row, steps, strict=True)
            ]
            ways.sort(key=lambda beam: -beam[1])
            kept = ways[:width]
            finished += [beam for beam in kept if beam[0][-1] == end]
            beams = [beam for beam in kept if beam[0][-1] != end]
            if not beams:
                break
    return sorted(finished + beams, key=lambda beam: -value(beam))[:width]
