# SPDX-License-Identifier: Apache-2.0
"""A transformer's encoder and decoder write dates as 1998-05-03.

The decoder attends to what it has written, ``softmax(Q K^T / sqrt(d) + mask) V`` with a mask of
minus infinity on all that comes later, and to the encoder's states without one (Vaswani et al.,
2017). In training all letters are asked for at once; afterwards they are written one by one.
Synthetic data: those of ``seq2seq-dates``.
"""

from __future__ import annotations

from gradsmith import models, nn, viz
from gradsmith.autograd import no_grad
from gradsmith.recipes.dates import dates
from gradsmith.recipes.run import Run
from gradsmith.recipes.tokens import Alphabet
from gradsmith.recipes.translation import Pairs


def _picture(model: models.TransformerTranslator, pairs: Pairs, run: Run, answer: str) -> object:
    """Draw where the last layer of the decoder looks while it writes the first answer."""
    question = pairs.questions[0]
    source = pairs.questions_for(run)[:1, : len(question)]
    tokens = source.new_tensor(pairs.test[1][:1, : len(answer)])
    looks = []
    layer = [each for each in model.modules() if isinstance(each, nn.MultiheadAttention)][-1]

    def keep(_module: object, inputs: tuple[object, ...], _output: object) -> None:
        looks.append(inputs)

    handle = layer.register_forward_hook(keep)
    with no_grad():
        model(source, tokens)
        handle.remove()
        _, weights = layer(*looks[0])
    return viz.plot_attention(weights[0], list(answer), list(question))


def main(run: Run) -> None:
    """Train and translate."""
    train, test = run.choose((10_000, 1000), (2000, 100))
    pairs = Pairs(dates, train, test, run.seed)
    width, layers = run.choose((64, 2), (32, 1))
    model = models.TransformerTranslator(
        len(pairs.source), len(pairs.target), width, 4, layers, dropout=0.0
    ).to(run.device)
    pairs.fit(run, model, run.epochs(full=6, quick=5), rate=run.choose(3e-3, 1e-2))
    model.eval()
    written = model.translate(pairs.questions_for(run), pairs.length, Alphabet.START)
    run.figure("exact match", pairs.score(written), at_least=0.98, quick=0.05)
    pairs.show(run, written)
    answer = pairs.target.decode(written[0].tolist())
    caption = "What the decoder reads (columns) while it writes (rows), last layer."
    run.picture("attention", _picture(model, pairs, run, answer), caption)
    run.picture("curves", viz.plot_history(run.history), "Cross-entropy per character.")
    run.model(model)
