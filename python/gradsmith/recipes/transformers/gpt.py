# SPDX-License-Identifier: Apache-2.0
"""A small GPT writes Python's documentation, against an LSTM of as many parameters.

Each character attends to all before it within the window, so that its scores depend on no later
one; the LSTM has to carry the same in its state. Both lower ``-mean log p(x_(t+1) | x_1 .. x_t)``
(Radford et al., 2018 and 2019). How a text is drawn from the scores, greedily, from the top k, from
the top p or by beam, makes as much of a difference as the model.
"""

from __future__ import annotations

from typing import Any

from gradsmith import models, nn
from gradsmith.optim import AdamW, lr_scheduler
from gradsmith.recipes.curves import plot_stages
from gradsmith.recipes.documents import LENGTH, Documents
from gradsmith.recipes.run import Run
from gradsmith.recipes.tokens import token_loss
from gradsmith.train import LambdaCallback


def _trained(run: Run, model: nn.Module, documents: Documents, stage: str, rate: float) -> float:
    """Train a model and return its perplexity on other documents."""
    epochs = run.epochs(full=8, quick=2)
    optimizer = AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    model.compile(optimizer, token_loss)
    step = LambdaCallback(on_epoch_end=lambda epoch, logs: schedule.step())
    options: dict[str, Any] = {"callbacks": [step], "objects": {"schedule": schedule}}
    run.fit(model, documents.loader, stage=stage, epochs=epochs, **options)
    return documents.perplexity(model, run.device)


def _size(model: nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())


def main(run: Run) -> None:
    """Train both, compare, and let the transformer write."""
    documents = Documents(run, batch_size=run.choose(16, 8))
    tokens = len(documents.vocabulary)
    width, layers = run.choose((64, 2), (48, 1))
    gpt = models.GPT(tokens, LENGTH, width, 4, layers, dropout=0.0).to(run.device)
    hidden = run.choose(120, 48)
    lstm = models.RecurrentLanguageModel(tokens, hidden, embedding=width).to(run.device)
    run.figure("parameters of the LSTM per one of the GPT", _size(lstm) / _size(gpt))
    found = _trained(run, gpt, documents, "gpt", rate=3e-3)
    against = _trained(run, lstm, documents, "lstm", rate=run.choose(4e-3, 1e-2))
    run.figure("test perplexity of the GPT", found, at_most=4.5, quick=24.0)
    run.figure("test perplexity of the LSTM", against, at_most=4.5, quick=22.0)
    run.figure("perplexity over that of the LSTM", found / against, at_most=1.0, quick=2.0)
    documents.show_samples(run, gpt.next_scores)
    run.picture("loss", plot_stages(run), "Cross-entropy per character by epoch.")
    run.model(gpt)
