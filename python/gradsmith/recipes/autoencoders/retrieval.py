# SPDX-License-Identifier: Apache-2.0
"""Retrieval: similar scans are found by their codes, which are 49 times shorter than they are.

A query of the test split asks for its ten nearest neighbours among the training scans by ``|f(x) -
f(y)|``; precision is the share of the query's class among them. No label is used in training.
Krizhevsky and Hinton, "Using very deep autoencoders for content-based image retrieval", 2011.
"""

from __future__ import annotations

from gradsmith import models, viz
from gradsmith.ops.joining import cat
from gradsmith.recipes.autoencoders.neighbours import nearest, precision
from gradsmith.recipes.autoencoders.scans import first_of_each, scans
from gradsmith.recipes.run import Run

FOUND = 10


def main(run: Run) -> None:
    """Train, look up, and compare with pixels."""
    training, known = scans(run, "train")
    testing, labels = scans(run, "test")
    model = models.dense_autoencoder((784, 256, 16)).to(run.device)
    model.compile("adam", "mse")
    before = nearest(model.encode(testing), model.encode(training), FOUND)
    run.fit(model, training, training, epochs=run.epochs(full=80, quick=8), seed=run.seed)
    places = nearest(model.encode(testing), model.encode(training), FOUND)
    untrained, trained = (precision(known[each], labels) for each in (before, places))
    run.figure("precision of 10 by untrained codes", untrained)
    run.figure("precision of 10 by codes", trained, at_least=0.9, quick=0.8)
    run.figure("gain by training", trained - untrained, at_least=0.05, quick=0.01)
    pixels = nearest(testing, training, FOUND)
    run.figure("precision of 10 by pixels", precision(known[pixels], labels))
    run.figure("precision of chance", 0.1)
    queries = first_of_each(labels)
    rows = [cat([testing[q : q + 1], training[places[q].to(run.device)]]) for q in queries]
    grid = viz.image_grid(cat(rows), 1 + FOUND)
    run.picture("found", grid, "Each row: the query, then what was found, the nearest first.")
    run.model(model, (1, 1, 28, 28))
