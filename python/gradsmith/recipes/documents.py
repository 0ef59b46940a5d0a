# SPDX-License-Identifier: Apache-2.0
"""Python's documentation as characters, for the language models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradsmith import metrics, text
from gradsmith.autograd import no_grad
from gradsmith.data import DataLoader, WindowDataset, datasets
from gradsmith.nn import Module
from gradsmith.ops.creation import from_numpy
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

LENGTH = 64
_PROMPT = "The "


class Documents:
    """Windows of ``LENGTH`` characters to train on, and those of other documents to test."""

    def __init__(self, run: Run, batch_size: int = 32) -> None:
        """Read the documents; a quick run takes the beginning of them."""
        train, test = ("\n".join(datasets.python_docs(each).texts) for each in ("train", "test"))
        train = train[: run.choose(None, 60_000)]
        characters = [text.char_tokenize(train)]
        self.vocabulary = text.Vocabulary(characters, specials=("<unk>",), unknown="<unk>")
        self.train, self.test = (
            WindowDataset(np.array(self.vocabulary.encode(each)), LENGTH) for each in (train, test)
        )
        self.loader = DataLoader(self.train, batch_size, shuffle=True, seed=run.seed)

    def perplexity(self, model: Module, device: object) -> float:
        """Return exp of the mean cross-entropy of the test's characters."""
        measure = metrics.Perplexity()
        model.eval()
        with no_grad():
            for inputs, targets in DataLoader(self.test, 64):
                measure.update(model(inputs.to(device)).transpose(1, 2), targets.to(device))
        return float(measure.result())

    def show_samples(
        self, run: Run, next_scores: Callable[[Tensor], Tensor], title: str = "samples"
    ) -> None:
        """Print texts that a model writes: greedy, by top-k, nucleus and beam."""
        length = run.choose(240, 40)
        prompt = from_numpy(np.array([self.vocabulary.encode(_PROMPT)])).to(run.device)
        ways: dict[str, dict[str, Any]] = {
            "greedy": {"temperature": 0},
            "top-k (10)": {"top_k": 10},
            "nucleus (0.9)": {"top_p": 0.9},
        }
        parts = []
        for name, options in ways.items():
            (tokens,) = text.generate(next_scores, prompt, length, **options).tolist()
            parts.append((name, tokens))
        beams = text.beam_search(next_scores, prompt[0], length // 4, width=4)
        parts.append(("beam (4)", beams[0][0]))
        lines = [f"--- {name}\n{''.join(self.vocabulary.decode(each))}" for name, each in parts]
        run.text(title, "\n".join(lines))
