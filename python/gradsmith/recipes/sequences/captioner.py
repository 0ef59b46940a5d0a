# SPDX-License-Identifier: Apache-2.0
"""One to many: a CNN reads a picture, a GRU says what is on it.

The picture's features are the first state of a language model of captions, ``p(w_t | w_1 ..
w_(t-1), picture)`` (Vinyals, Toshev, Bengio, Erhan, "Show and tell", 2015), and stand beside each
word (Mao et al., "Deep captioning with multimodal recurrent neural networks", 2015). At each step
the likeliest word is said, until the end. Synthetic pictures: two shapes of two sizes and three
colours side by side.
"""

from __future__ import annotations

import numpy as np

from gradsmith import metrics, nn, viz
from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.ops.creation import from_numpy, full
from gradsmith.ops.joining import cat
from gradsmith.optim import Adam
from gradsmith.recipes.run import Run
from gradsmith.recipes.tokens import PAD, exact_match, token_loss
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import pyplot

SIDE = 12
START, END = 1, 2
_COLOURS = {"red": (1, 0.1, 0.1), "green": (0.1, 1, 0.1), "blue": (0.2, 0.2, 1)}
_SHAPES = ("square", "disc", "cross")
_SIZES = {"small": 3, "large": 5}
WORDS = ("<pad>", "<start>", "<end>", "a", "left", "of", *_SIZES, *_COLOURS, *_SHAPES)


def mask_of(shape: str, radius: int) -> Array:
    """Return where a shape is, in a square of SIDE pixels: a bool array."""
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    if shape == "square":
        return np.asarray(np.maximum(abs(x), abs(y)) < radius)
    if shape == "disc":
        return np.asarray(x**2 + y**2 < radius**2)
    return np.asarray((np.minimum(abs(x), abs(y)) < 1) & (np.maximum(abs(x), abs(y)) < radius))


def _thing(draw: np.random.Generator) -> tuple[Array, list[str]]:
    size, colour, shape = (str(draw.choice(list(each))) for each in (_SIZES, _COLOURS, _SHAPES))
    mask = np.roll(mask_of(shape, _SIZES[size]), draw.integers(-1, 2, size=2), axis=(0, 1))
    picture = mask[None] * np.array(_COLOURS[colour])[:, None, None]
    return picture, ["a", size, colour, shape]


def pictures(count: int, seed: int) -> tuple[Array, Array]:
    """Return pictures (count, 3, 12, 24) and captions (count, 12) as numbers of WORDS."""
    draw = np.random.default_rng(seed)
    images, captions = [], []
    for _ in range(count):
        (left, first), (right, second) = _thing(draw), _thing(draw)
        image = np.concatenate([left, right], axis=2)
        images.append(image + draw.normal(0, 0.1, image.shape))
        words = ["<start>", *first, "left", "of", *second, "<end>"]
        captions.append([WORDS.index(word) for word in words])
    return np.array(images, dtype=np.float32), np.array(captions)


class Captioner(nn.Module):
    """Pictures (N, 3, H, W) and words so far (N, T) -> scores (N, T, words) of the next ones."""

    def __init__(self, hidden: int) -> None:
        """Make the layers."""
        super().__init__()
        self.eye = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * SIDE // 4 * SIDE // 2, hidden),
            nn.Tanh(),
        )
        self.embedding = nn.Embedding(len(WORDS), 16)
        self.recurrent = nn.GRU(16 + hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, len(WORDS))

    def forward(self, images: Tensor, words: Tensor) -> Tensor:
        """Return the scores before softmax."""
        seen = self.eye(images)
        always = seen.unsqueeze(1).expand(-1, words.shape[1], -1)
        states, _ = self.recurrent(cat([self.embedding(words), always], 2), seen.unsqueeze(0))
        scores: Tensor = self.head(states)
        return scores

    def describe(self, images: Tensor, length: int) -> Tensor:
        """Return the likeliest words, one after the other: (N, length)."""
        words = full((len(images), 1), START, dtype="int64", device=images.device)
        with no_grad():
            for _ in range(length):
                words = cat([words, self(images, words)[:, -1:].argmax(-1)], 1)
        return words[:, 1:]


def _sentence(numbers: list[int]) -> list[str]:
    return [WORDS[number] for number in numbers if number not in (PAD, END)]


def _shown(images: Array, said: list[list[str]]) -> object:
    """Draw pictures, each under its caption in two lines."""
    figure, axes = pyplot().subplots(2, 3, figsize=(9, 4.5))
    for ax, image, words in zip(axes.flat, images, said, strict=False):
        ax.imshow(image.transpose(1, 2, 0).clip(0, 1))
        ax.set_title(" ".join(words).replace(" left of ", "\nleft of "), fontsize=10)
        ax.set_axis_off()
    figure.tight_layout()
    return figure


def main(run: Run) -> None:
    """Train, and describe unseen pictures."""
    images, captions = pictures(run.choose(4000, 1500), 2 * run.seed)
    seen, wanted = pictures(run.choose(500, 200), 2 * run.seed + 1)
    model = Captioner(run.choose(96, 64)).to(run.device)
    model.compile(Adam(model.parameters(), lr=3e-3), token_loss)
    inputs, epochs = [images, captions[:, :-1]], run.epochs(full=12, quick=6)
    run.fit(model, inputs, captions[:, 1:], epochs=epochs)
    model.eval()
    written = model.describe(from_numpy(seen).to(run.device), captions.shape[1] - 1)
    found = exact_match(written, wanted[:, 1:])
    run.figure("captions right in every word", found, at_least=0.95, quick=0.15)
    said = [_sentence(row) for row in written.tolist()]
    truth = [[_sentence(row)] for row in wanted[:, 1:].tolist()]
    run.figure("BLEU", metrics.bleu(said, truth), at_least=0.98, quick=0.6)
    run.text("Captions", "\n".join(f"{k + 1}. {' '.join(said[k])}" for k in range(6)))
    run.picture("pictures", _shown(seen, said), "Unseen pictures and what is said of them.")
    run.picture("curves", viz.plot_history(run.history), "Cross-entropy per word.")
    run.model(model)
