# SPDX-License-Identifier: Apache-2.0
"""A recurrent net reads Python's documentation character by character and writes more of it.

Each state is asked for the next character: ``p(x_(t+1) | x_1 .. x_t) = softmax(W h_t + b)``.
Perplexity, ``exp(-mean log p)``, is the number of characters it is as undecided between as a die
of so many faces. (Graves, "Generating sequences with recurrent neural networks", 2013.)
"""

from __future__ import annotations

from gradsmith import models, viz
from gradsmith.optim import Adam, lr_scheduler
from gradsmith.recipes.documents import Documents
from gradsmith.recipes.run import Run
from gradsmith.recipes.tokens import token_loss
from gradsmith.train import LambdaCallback

OPTIONS = {"cell": "gru"}
# Perplexity of a full and of a quick run.
EXPECTED = {"gru": (4.5, 16.0), "lstm": (4.5, 20.0), "rnn": (6.0, 20.0)}


def main(run: Run) -> None:
    """Train, measure on other documents, and write."""
    documents = Documents(run, batch_size=run.choose(32, 16))
    cell = run.option("cell")
    hidden = run.choose(192, 64)
    model = models.RecurrentLanguageModel(len(documents.vocabulary), hidden, cell=cell)
    model = model.to(run.device)
    epochs = run.epochs(full=16, quick=2)
    optimizer = Adam(model.parameters(), lr=run.choose(4e-3, 1e-2))
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    model.compile(optimizer, token_loss)
    step = LambdaCallback(on_epoch_end=lambda epoch, logs: schedule.step())
    run.fit(
        model, documents.loader, epochs=epochs, callbacks=[step], objects={"schedule": schedule}
    )
    full, quick = EXPECTED[cell]
    perplexity = documents.perplexity(model, run.device)
    run.figure("test perplexity", perplexity, at_most=full, quick=quick)
    documents.show_samples(run, lambda tokens: model(tokens)[:, -1])
    run.picture("loss", viz.plot_history(run.history), "Cross-entropy per character by epoch.")
    run.model(model)
