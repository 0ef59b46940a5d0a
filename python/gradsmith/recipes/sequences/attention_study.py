# SPDX-License-Identifier: Apache-2.0
"""An encoder with a decoder, trained with and without attention."""

from __future__ import annotations

from gradsmith import models, viz
from gradsmith.recipes.curves import plot_stages
from gradsmith.recipes.run import Run
from gradsmith.recipes.tokens import Alphabet
from gradsmith.recipes.translation import Pairs


def study(run: Run, pairs: Pairs, epochs: int, rate: float, quick: float) -> None:
    """Train both (a quick run the one with attention), measure, draw where the decoder looks."""
    hidden = run.choose(96, 48)
    for attention in run.choose((False, True), (True,)):
        name = "with attention" if attention else "without attention"
        model = models.Seq2Seq(len(pairs.source), len(pairs.target), hidden, 32, attention)
        model = model.to(run.device)
        pairs.fit(run, model, epochs, rate, stage=name)
        model.eval()
        written, weights = model.translate(pairs.questions_for(run), pairs.length, Alphabet.START)
        bounds = {"at_least": 0.98, "quick": quick} if attention else {}
        run.figure(f"exact match {name}", pairs.score(written), **bounds)
    assert weights is not None
    pairs.show(run, written)
    question, answer = pairs.questions[0], pairs.target.decode(written[0].tolist())
    shares = weights[0, : len(answer), : len(question)]
    caption = "Where the decoder looks (columns: what it reads) while it writes (rows)."
    run.picture("attention", viz.plot_attention(shares, list(answer), list(question)), caption)
    run.picture("curves", plot_stages(run), "Cross-entropy per token.")
    run.model(model)
