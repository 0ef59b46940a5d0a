# SPDX-License-Identifier: Apache-2.0
"""GPT: a transformer that reads from left to right (Radford et al., "Improving language
understanding by generative pre-training", 2018; norms before the blocks: GPT-2, 2019).
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.models.sizes import check_classes
from gradsmith.nn import functional as F
from gradsmith.tensor import Tensor


class GPT(nn.Module):
    """Tokens (N, T), T up to ``context``, -> scores (N, T, vocabulary) of the tokens that follow.

    The scores are products with the rows of the embedding (tied weights).
    """

    def __init__(
        self,
        vocabulary: int = 50257,
        context: int = 1024,
        width: int = 768,
        heads: int = 12,
        layers: int = 12,
        dropout: float = 0.1,
    ) -> None:
        """Make the layers.

        Args:
            vocabulary: number of tokens.
            context: the longest input.
            width: features of a token.
            heads: of the attention; divide the width.
            layers: number of blocks.
            dropout: share dropped in training.

        Raises:
            ValueError: a size is below 1, or the heads do not divide the width.
        """
        super().__init__()
        check_classes("GPT", vocabulary)
        self.context = context
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.LearnedPositionalEncoding(width, context, dropout, batch_first=True)
        block = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, layers, nn.LayerNorm(width))
        init_normal(self)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores before softmax."""
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], tokens.device)
        x = self.blocks(self.positions(self.embedding(tokens)), mask, is_causal=True)
        return F.linear(x, self.embedding.weight)

    def next_scores(self, tokens: Tensor) -> Tensor:
        """Return the scores (N, vocabulary) of the next token, from the last that fit."""
        scores: Tensor = self(tokens[:, -self.context :])[:, -1]
        return scores


def init_normal(model: nn.Module) -> None:
    """Draw matrices from N(0, 0.02), as GPT and BERT do, and set biases to 0."""
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            nn.init.normal_(parameter, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


def gpt(vocabulary: int = 50257, *, context: int = 1024) -> GPT:
    """Return a model of GPT-2's smallest size: 124,439,808 parameters."""
    return GPT(vocabulary, context)
