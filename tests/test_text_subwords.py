# SPDX-License-Identifier: Apache-2.0
"""Byte-pair encoding and word vectors."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradsmith as gs
from gradsmith.text import BPETokenizer, Vocabulary, WordVectors, load_embeddings

# ---- byte-pair encoding --------------------------------------------------------------------------


def merges_by_counting_again(words: Counter[bytes], count: int) -> list[tuple[int, int]]:
    """The definition: count all pairs, merge the most frequent, begin again."""
    symbols = {word: list(word) for word in words}
    merges: list[tuple[int, int]] = []
    while len(merges) < count:
        pairs: Counter[tuple[int, int]] = Counter()
        for word, number in words.items():
            for pair in zip(symbols[word], symbols[word][1:], strict=False):
                pairs[pair] += number
        frequent = [pair for pair, number in pairs.items() if number >= 2]
        if not frequent:
            break
        best = min(frequent, key=lambda pair: (-pairs[pair], pair))
        for word, parts in symbols.items():
            place = 0
            while place < len(parts) - 1:
                if (parts[place], parts[place + 1]) == best:
                    parts[place : place + 2] = [256 + len(merges)]
                place += 1
            symbols[word] = parts
        merges.append(best)
    return merges


def test_training_follows_the_definition() -> None:
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("aabc"), size=random.integers(1, 8))) for _ in range(60)]
    pieces = Counter(word.encode() for word in words)
    tokenizer = BPETokenizer.train(words, vocab_size=256 + 20)
    assert tokenizer.merges == merges_by_counting_again(pieces, 20)
    assert len(tokenizer.merges) == 20


def test_the_example_of_the_paper() -> None:
    """Sennrich et al., section 3.2: low, lowest, newer, wider; here without an end-of-word sign."""
    texts = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
    tokenizer = BPETokenizer.train(texts, vocab_size=262)
    learned = [tokenizer.decode([number]) for number in range(256, 262)]
    assert learned[:4] == ["es", "est", "lo", "low"]
    assert tokenizer.tokenize("lowest") == ["low", "est"]
    assert BPETokenizer.train(["abab"], vocab_size=400, min_frequency=3).merges == []


TOKENIZER = BPETokenizer.train(
    ["the cat sat on the mat, the cat's hat \u00e9t\u00e9 \u00e9t\u00e9"] * 3,
    300,
    ["<pad>", "<end>"],
)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec=None)))  # lone surrogates included
def test_any_text_comes_back(content: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(content)) == content
    assert TOKENIZER.decode(TOKENIZER.encode(f"the {content}<end>", special=True)) == (
        f"the {content}<end>"
    )


def test_special_tokens(tmp_path: Path) -> None:
    pad, end = TOKENIZER.special_id("<pad>"), TOKENIZER.special_id("<end>")
    assert (pad, end) == (len(TOKENIZER) - 2, len(TOKENIZER) - 1)
    numbers = TOKENIZER.encode("the<end><pad>", special=True)
    assert numbers[-2:] == [end, pad]
    assert end not in TOKENIZER.encode("the<end>")
    TOKENIZER.save(tmp_path / "bpe.json")
    loaded = BPETokenizer.load(tmp_path / "bpe.json")
    assert loaded.encode("the<end><pad>", special=True) == numbers
    assert loaded.merges == TOKENIZER.merges
    assert loaded.decode(gs.tensor(numbers)) == "the<end><pad>"
    with pytest.raises(KeyError, match="'<unk>' is not among"):
        loaded.special_id("<unk>")


def test_bpe_refuses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="vocab_size is 256, expected at least 257"):
        BPETokenizer.train(["a"], 256, ["<pad>"])
    with pytest.raises(TypeError, match="texts is a str"):
        BPETokenizer.train("abc", 300)
    with pytest.raises(ValueError, match=r"merge 1 is \(258, 0\)"):
        BPETokenizer([(0, 1), (258, 0)])
    with pytest.raises(ValueError, match="are empty or equal"):
        BPETokenizer(special_tokens=["a", "a"])
    with pytest.raises(IndexError, match="256 is out of range"):
        BPETokenizer().decode([256])
    assert BPETokenizer().decode([0xC3, 65]) == "\ufffdA"
    for content in ("{}", '{"merges": [1], "special_tokens": []}'):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(ValueError, match=r"holds no object|is damaged"):
            BPETokenizer.load(tmp_path / "a.json")


# ---- word vectors --------------------------------------------------------------------------------

WORDS = ["the", "caf\u00e9", "mat"]
VECTORS = np.array([[1, 0.5], [-2, 0], [1e-3, 7]], dtype=np.float32)
LINES = [f"{word} {row[0]} {row[1]}\n" for word, row in zip(WORDS, VECTORS, strict=True)]
GLOVE = "".join(LINES).encode()
WORD2VEC = b"3 2\n" + GLOVE
BINARY = b"3 2\n" + b"".join(
    word.encode() + b" " + row.tobytes() + b"\n" for word, row in zip(WORDS, VECTORS, strict=True)
)
BINARY_WITHOUT_LINES = BINARY.replace(VECTORS[0].tobytes() + b"\n", VECTORS[0].tobytes())


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("content", [GLOVE, WORD2VEC, BINARY, BINARY_WITHOUT_LINES])
def test_load_embeddings(tmp_path: Path, content: bytes, packed: bool) -> None:
    path = tmp_path / ("vectors.gz" if packed else "vectors")
    path.write_bytes(gzip.compress(content) if packed else content)
    loaded = load_embeddings(path)
    assert loaded.words == WORDS
    np.testing.assert_array_equal(loaded.vectors.numpy(), VECTORS)
    assert load_embeddings(path, limit=2).words == WORDS[:2]
    assert loaded["mat"].tolist() == VECTORS[2].tolist()
    assert "caf\u00e9" in loaded
    assert len(loaded) == 3


def test_words_with_spaces(tmp_path: Path) -> None:
    path = tmp_path / "glove"
    path.write_bytes(GLOVE + b". . . 3 4\n")
    assert load_embeddings(path)[". . ."].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "it is empty"),
        (b"a 1 2\nb 1\n", {}, "word 2 has 1 numbers, expected 2"),
        (b"a 1 2\nb 1 x\n", {}, "no glove file"),
        (b"4 2\n" + GLOVE, {}, "ends after 3 of 4 words"),
        (BINARY[:-5], {}, "vector of word 3 is cut off"),
        (b"2 2\nab", {"format": "word2vec_binary"}, "word 1 has no end"),
        (GLOVE, {"format": "word2vec"}, "no word2vec file"),
        (b"0 2\n", {"format": "word2vec"}, "it claims 0 words"),
        (GLOVE, {"format": "text"}, "format is 'text'"),
        (GLOVE, {"limit": 0}, "limit is 0"),
    ],
)
def test_load_embeddings_refuses(
    tmp_path: Path, content: bytes, options: dict[str, str], message: str
) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_embeddings(path, **options)  # type: ignore[arg-type]


def test_matrix_and_neighbours() -> None:
    vectors = WordVectors(["a", "b", "c", "a"], [[1, 0], [1, 1], [-1, 0], [9, 9]])
    vocabulary = Vocabulary([["c", "a", "z"]])
    assert vectors.matrix(vocabulary).tolist() == [[0, 0], [0, 0], [1, 0], [-1, 0], [0, 0]]
    drawn = vectors.matrix(["z", "b"], std=0.1, seed=0)
    assert drawn.tolist()[1] == [1, 1]
    assert drawn.tolist() == vectors.matrix(["z", "b"], std=0.1, seed=0).tolist()
    assert 0 < abs(drawn.numpy()[0]).max() < 1
    near = vectors.most_similar("a", topn=3)
    assert [word for word, _ in near] == ["b", "a", "c"]
    np.testing.assert_allclose([cosine for _, cosine in near], [0.5**0.5, 0.5**0.5, -1], rtol=1e-6)
    with pytest.raises(KeyError, match="no vector of 'q'"):
        vectors["q"]
    with pytest.raises(ValueError, match="expected \\(1, D\\)"):
        WordVectors(["a"], [[1], [2]])
