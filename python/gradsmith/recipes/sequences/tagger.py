# SPDX-License-Identifier: Apache-2.0
"""A BiLSTM tags every word of a sentence: its part of speech, and named entities.

Words such as "will", "may" or "paris" have a tag by what stands around them on both sides, so that
a table of each word's most frequent tag fails; ``p(tag_t) = softmax(V [h_forward_t,
h_backward_t])`` sees both. Entities are marked B- where they begin and I- where they go on (Huang,
Xu, Yu, "Bidirectional LSTM-CRF models for sequence tagging", 2015). Synthetic grammar.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from gradsmith import nn, viz
from gradsmith.backend import Array
from gradsmith.ops.joining import stack
from gradsmith.optim import Adam
from gradsmith.recipes.run import Run
from gradsmith.recipes.tokens import PAD, token_loss
from gradsmith.tensor import Tensor

# Word/part of speech/entity; {X} is a choice from _CHOICES.
_TEMPLATES = (
    "{PERSON} {MODAL} {VERB} the/DET/O {NOUN}",
    "the/DET/O {NOUN} {MODAL} {VERB} {PERSON}",
    "{PERSON} {PAST} in/ADP/O {PLACE}",
    "in/ADP/O {MONTH} {PERSON} {PAST} the/DET/O {NOUN}",
    "the/DET/O {ADJ} {NOUN} {PAST} near/ADP/O {PLACE}",
    "{PERSON} {PAST} a/DET/O {ADJ} {NOUN} in/ADP/O {MONTH}",
)
_CHOICES = {
    "PERSON": "will/PROPN/B-PER|may/PROPN/B-PER|paris/PROPN/B-PER|mark/PROPN/B-PER|"
    "mark/PROPN/B-PER rivers/PROPN/I-PER|may/PROPN/B-PER rivers/PROPN/I-PER|"
    "rose/PROPN/B-PER",
    "PLACE": "paris/PROPN/B-LOC|rome/PROPN/B-LOC|two/PROPN/B-LOC rivers/PROPN/I-LOC|"
    "new/PROPN/B-LOC rome/PROPN/I-LOC",
    "MONTH": "may/PROPN/B-DATE|march/PROPN/B-DATE|june/PROPN/B-DATE",
    "MODAL": "will/AUX/O|may/AUX/O|can/AUX/O",
    "VERB": "mark/VERB/O|book/VERB/O|see/VERB/O|march/VERB/O to/ADP/O",
    "PAST": "rose/VERB/O|saw/VERB/O|booked/VERB/O",
    "NOUN": "will/NOUN/O|can/NOUN/O|book/NOUN/O|mark/NOUN/O|rose/NOUN/O|rivers/NOUN/O|saw/NOUN/O",
    "ADJ": "new/ADJ/O|old/ADJ/O",
}
Sentence = list[tuple[str, str, str]]


def sentence(draw: np.random.Generator) -> Sentence:
    """Return the words of a sentence with their tags."""
    text = str(draw.choice(_TEMPLATES))
    for name, choices in _CHOICES.items():
        while "{" + name + "}" in text:
            text = text.replace("{" + name + "}", str(draw.choice(choices.split("|"))), 1)
    parts = [each.split("/") for each in text.split()]
    return [(word, speech, entity) for word, speech, entity in parts]


def entities(tags: list[str]) -> set[tuple[int, int, str]]:
    """Return the entities of a sentence as (begin, end, kind).

    >>> sorted(entities(["B-PER", "I-PER", "O", "B-LOC"]))
    [(0, 2, 'PER'), (3, 4, 'LOC')]
    """
    found, begin = set(), 0
    for place, tag in enumerate(tags):
        if tag.startswith("B-"):
            begin = place
        after = tags[place + 1] if place + 1 < len(tags) else "O"
        if tag != "O" and not after.startswith("I-"):
            found.add((begin, place + 1, tag[2:]))
    return found


def f1_of_entities(
    found: list[set[tuple[int, int, str]]], truth: list[set[tuple[int, int, str]]]
) -> float:
    """Return 2 * right / (found + true); an entity is right if its ends and its kind are."""
    right = sum(len(a & b) for a, b in zip(found, truth, strict=True))
    return 2 * right / max(sum(map(len, found)) + sum(map(len, truth)), 1)


class Tagger(nn.Module):
    """Words (N, T) -> scores of both kinds of tags, (2, N, T, tags)."""

    def __init__(self, words: int, tags: int, hidden: int) -> None:
        """Make the layers."""
        super().__init__()
        self.embedding = nn.Embedding(words, 16)
        self.body = nn.LSTM(16, hidden, batch_first=True, bidirectional=True)
        self.heads = nn.ModuleList([nn.Linear(2 * hidden, tags) for _ in range(2)])

    def forward(self, words: Tensor) -> Tensor:
        """Return the scores before softmax."""
        states, _ = self.body(self.embedding(words))
        return stack([head(states) for head in self.heads], 1)


def _numbered(rows: list[list[str]], names: dict[str, int], length: int) -> Array:
    table = np.full((len(rows), length), PAD, dtype=np.int64)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = [names.setdefault(each, len(names) + 1) for each in row]
    return table


def main(run: Run) -> None:
    """Train, and compare with each word's most frequent tag."""
    draw = np.random.default_rng(run.seed)
    count = run.choose(3000, 800)
    sentences = [sentence(draw) for _ in range(count + 300)]
    length = max(map(len, sentences))
    names: list[dict[str, int]] = [{}, {}]
    columns = [[[each[k] for each in row] for row in sentences] for k in range(3)]
    words = _numbered(columns[0], names[0], length)
    tags = np.stack([_numbered(column, names[1], length) for column in columns[1:]], axis=1)
    model = Tagger(len(names[0]) + 1, len(names[1]) + 1, run.choose(32, 16)).to(run.device)
    model.compile(Adam(model.parameters(), lr=1e-2), token_loss)
    run.fit(model, words[:count], tags[:count], epochs=run.epochs(full=8, quick=4))
    found = model.predict(words[count:], verbose=0).numpy().argmax(axis=-1)
    label = {number: name for name, number in names[1].items()}
    most = [_most_frequent(sentences[:count], kind) for kind in (1, 2)]
    answers = {
        "BiLSTM": [
            [[label.get(int(n), "O") for n in line[: len(row)]] for line in both]
            for both, row in zip(found, sentences[count:], strict=True)
        ],
        "most frequent": [
            [[table[word] for word, _, _ in row] for table in most] for row in sentences[count:]
        ],
    }
    rows = [[name, *_scores(given, sentences[count:])] for name, given in answers.items()]
    run.table(
        "Tags of unseen sentences",
        ["tagger", "accuracy of parts of speech", "F1 of entities"],
        rows,
    )
    run.figure("accuracy of parts of speech", rows[0][1], at_least=0.98, quick=0.9)
    run.figure("F1 of entities", rows[0][2], at_least=0.97, quick=0.8)
    run.figure("F1 of entities by most frequent tags", rows[1][2])
    shown = zip(sentences[count], *answers["BiLSTM"][0], strict=True)
    run.table(
        "A sentence", ["word", "part of speech", "entity"], [[w[0], p, e] for w, p, e in shown]
    )
    run.picture("curves", viz.plot_history(run.history), "Cross-entropy per tag.")
    run.model(model)


def _most_frequent(sentences: list[Sentence], kind: int) -> dict[str, str]:
    counts: dict[str, Counter[str]] = {}
    for row in sentences:
        for each in row:
            counts.setdefault(each[0], Counter())[each[kind]] += 1
    return {word: tags.most_common(1)[0][0] for word, tags in counts.items()}


def _scores(answers: list[list[list[str]]], sentences: list[Sentence]) -> tuple[float, float]:
    """Return the accuracy of parts of speech, and the F1 of entities."""
    speech = [
        tag == each[1]
        for (tags, _), row in zip(answers, sentences, strict=True)
        for tag, each in zip(tags, row, strict=True)
    ]
    truth = [entities([each[2] for each in row]) for row in sentences]
    return sum(speech) / len(speech), f1_of_entities([entities(each[1]) for each in answers], truth)
