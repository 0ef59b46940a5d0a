# SPDX-License-Identifier: Apache-2.0
"""Sampling keeps the right tokens with the right shares; beams find the likeliest text."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import text

# Shares of the next token after each of three tokens; 2 ends a text.
CHAIN = np.array([[0.4, 0.35, 0.25], [0.05, 0.05, 0.9], [0.0, 0.0, 1.0]]) + 1e-9


def chain(tokens: gs.Tensor) -> gs.Tensor:
    return gs.from_numpy(np.log(CHAIN))[tokens[:, -1]]


def test_top_k_keeps_the_k_highest() -> None:
    kept = text.keep_top_k(gs.tensor([[1.0, 4.0, 3.0, 2.0], [0.0, -1.0, 5.0, -2.0]]), 2)
    low = -math.inf
    assert kept.tolist() == [[low, 4, 3, low], [0, low, 5, low]]
    same = gs.tensor([[1.0, 2.0]])
    assert text.keep_top_k(same, 5).tolist() == same.tolist()


@pytest.mark.parametrize(
    ("p", "kept"),
    [(0.4, [1]), (0.5, [1]), (0.6, [1, 3]), (0.81, [1, 3]), (0.82, [1, 3, 0]), (1.0, [1, 3, 0, 2])],
)
def test_nucleus_is_the_smallest_set_that_holds_p(p: float, kept: list[int]) -> None:
    shares = np.array([[0.125, 0.5, 0.0625, 0.3125]])
    scores = text.keep_top_p(gs.from_numpy(np.log(shares)), p).numpy()[0]
    assert sorted(kept) == np.flatnonzero(np.isfinite(scores)).tolist()


def test_samples_follow_the_shares() -> None:
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    logits = gs.from_numpy(np.log(np.tile(shares, (20000, 1))))
    gs.random.manual_seed(0)
    cases: list[tuple[dict[str, float], np.ndarray]] = [
        ({}, shares),
        ({"temperature": 0.5}, shares**2),
        ({"top_k": 2}, np.array([0.5, 0.3, 0, 0])),
        ({"top_p": 0.9}, np.array([0.5, 0.3, 0.15, 0])),
        ({"temperature": 0}, np.array([1.0, 0, 0, 0])),
    ]
    for options, wanted in cases:
        drawn = text.sample_token(logits, **options).numpy()  # type: ignore[arg-type]
        found = np.bincount(drawn, minlength=4) / len(drawn)
        np.testing.assert_allclose(found, wanted / wanted.sum(), atol=0.015)


def test_greedy_text_and_prompts() -> None:
    written = text.generate(chain, gs.tensor([[0], [1]]), 2, temperature=0)
    assert written.tolist() == [[0, 0, 0], [1, 2, 2]]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_wide_beam_finds_the_likeliest_of_all_texts(length: int) -> None:
    found = text.beam_search(chain, [0], length, width=3**length)
    best, value = found[0]
    values = {
        path: math.log(np.prod([CHAIN[a, b] for a, b in itertools.pairwise((0, *path))]))
        for path in itertools.product(range(3), repeat=length)
    }
    assert tuple(best[1:]) == max(values, key=lambda path: values[path])
    assert value == pytest.approx(max(values.values()), abs=1e-6)
    assert len(found) == 3**length


def test_beam_beats_greedy_where_a_weak_start_leads_far() -> None:
    (best, value), *_ = text.beam_search(chain, gs.tensor([0]), 2, width=2)
    assert best == [0, 1, 2]
    assert value == pytest.approx(math.log(0.35 * 0.9), abs=1e-6)


def test_beam_ends_at_the_end_and_weighs_length() -> None:
    texts = [tokens for tokens, _ in text.beam_search(chain, [0], 4, width=3, end=2)]
    assert texts[0] == [0, 1, 2]
    assert all(2 not in tokens[:-1] for tokens in texts)
    (tokens, value), *_ = text.beam_search(chain, [0], 2, width=9, end=2)
    assert (tokens, round(math.exp(value), 3)) == ([0, 1, 2], 0.315)
    long = text.beam_search(chain, [0], 6, width=30, end=2, length_penalty=20.0)[0][0]
    assert len(long) == 7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: text.keep_top_k(gs.zeros(1, 3), 0), "k is 0"),
        (lambda: text.keep_top_p(gs.zeros(1, 3), 0.0), "p is 0.0"),
        (lambda: text.keep_top_p(gs.zeros(1, 3), 1.5), "p is 1.5"),
        (lambda: text.sample_token(gs.zeros(3)), r"expected \(N, V\)"),
        (lambda: text.sample_token(gs.zeros(1, 3), -1.0), "temperature is -1.0"),
        (lambda: text.generate(chain, gs.tensor([0]), 1), "prompt has shape"),
        (lambda: text.beam_search(chain, [], 1), "prompt has 0 tokens"),
        (lambda: text.beam_search(chain, [0], 1, width=0), "width is 0"),
    ],
)
def test_bad_options_are_refused(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()
