# SPDX-License-Identifier: Apache-2.0
"""Which document is a paragraph from? Counts of words, weighted by how rare they are, tell it.

``tf * (log((1 + n) / (1 + df)) + 1)``, rows of length 1 (Spaerck Jones, 1972; Salton and Buckley,
1988), then a linear layer with softmax. Data: paragraphs of the longest documents of Python's
language reference.
"""

from __future__ import annotations

import numpy as np

from gradsmith import metrics, nn, text, viz
from gradsmith.data import datasets, train_test_split
from gradsmith.optim import Adam
from gradsmith.recipes.run import Run

CLASSES, SHORTEST = 6, 120


def paragraphs() -> tuple[list[str], list[int], list[str]]:
    """Return paragraphs, the numbers of their documents, and the titles of these."""
    documents = datasets.python_docs("train").texts + datasets.python_docs("test").texts
    by_title = {each.strip().splitlines()[0]: each for each in documents}
    titles = sorted(by_title, key=lambda title: -len(by_title[title]))[:CLASSES]
    found, labels = [], []
    for label, title in enumerate(titles):
        parts = [part for part in by_title[title].split("\n\n") if len(part) >= SHORTEST]
        found += parts
        labels += [label] * len(parts)
    return found, labels, titles


def main(run: Run) -> None:
    """Train on some paragraphs, tell the others apart."""
    texts, labels, titles = paragraphs()
    learn, test, y, test_y = train_test_split(
        texts, np.array(labels), test_size=0.25, stratify=labels, random_state=run.seed
    )
    vectorizer = text.TfidfVectorizer(stop_words=["the", "of", "to", "and", "is", "in"], min_df=2)
    x, test_x = vectorizer.fit_transform(learn), vectorizer.transform(test)
    model = nn.Linear(x.shape[1], CLASSES).to(run.device)
    optimizer = Adam(model.parameters(), lr=0.02, weight_decay=1e-4)
    model.compile(optimizer, "cross_entropy", ["accuracy"])
    run.fit(model, x, y, epochs=run.epochs(full=30, quick=8))
    scores = model.predict(test_x, verbose=0)
    accuracy = metrics.accuracy(scores, test_y)
    most_frequent = float(np.bincount(test_y).max() / len(test_y))
    run.figure("test accuracy", accuracy, at_least=0.75, quick=0.6)
    run.figure("accuracy of always the longest document", most_frequent)
    run.confusion(metrics.confusion_matrix(scores, test_y, CLASSES), titles)
    words = np.array(vectorizer.get_feature_names_out())
    weights = model.weight.detach().numpy()
    heavy = [
        [title, ", ".join(words[np.argsort(-row)[:8]])]
        for title, row in zip(titles, weights, strict=True)
    ]
    run.table("Words that speak for a document", ["document", "words"], heavy)
    run.picture("curves", viz.plot_history(run.history), "Loss and accuracy by epoch.")
    run.model(model)
