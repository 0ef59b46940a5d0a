# SPDX-License-Identifier: Apache-2.0
"""LSTM-N: an LSTM whose memory is a tape of all its states (Cheng, Dong, Lapata, "Long short-term
memory-networks for machine reading", 2016).
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.models.sizes import check_classes
from gradsmith.nn import functional as F
from gradsmith.ops.creation import zeros
from gradsmith.ops.elementwise import mul
from gradsmith.ops.elementwise_math import sigmoid, tanh
from gradsmith.ops.joining import cat, stack
from gradsmith.ops.shape_pieces import chunk
from gradsmith.tensor import Tensor

Tapes = tuple[Tensor, Tensor]


class LSTMN(nn.Module):
    """Steps (N, T, input_size) -> tapes of states and cells, each (N, T, hidden), and weights.

    Instead of its last state each step sees a mixture of all before it (intra-attention)::

        a_i = v . tanh(W_h h_i + W_x x_t + W_s s_(t-1)),   w = softmax(a)
        s_t = sum w_i h_i,   k_t = sum w_i c_i
        c_t = f * k_t + i * tanh(...),   h_t = o * tanh(c_t),   gates from [s_t, x_t]

    With the tapes of an encoder as ``memory`` it also attends to these (inter-attention, deep
    fusion): ``c_t`` gets ``r * (mixture of their cells)`` with a gate r from ``[that mixture of
    states, x_t]``.
    """

    def __init__(self, input_size: int, hidden: int, inter: bool = False) -> None:
        """Make the layers; ``inter``: with those for the tapes of an encoder of equal size."""
        super().__init__()
        check_classes("LSTMN", min(input_size, hidden))
        self.hidden = hidden
        self.gates = nn.Linear(hidden + input_size, 4 * hidden)
        self.intra = nn.AdditiveAttention(hidden + input_size, hidden, hidden)
        self.inter = nn.AdditiveAttention(hidden + input_size, hidden, hidden) if inter else None
        self.fuse = nn.Linear(hidden + input_size, hidden) if inter else None

    def forward(self, x: Tensor, memory: Tapes | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return states, cells, and the weights (N, T, T) of step t on the steps before it."""
        count, length, _ = x.shape
        blank = zeros((count, self.hidden), dtype=x.dtype, device=x.device)
        states, cells, looks, seen = [blank], [blank], [], blank
        for step in range(length):
            now = x[:, step]
            tape = stack(states, 1)
            _, weights = self.intra(cat([seen, now], 1), tape)
            seen = _mixed(weights, tape)
            kept = _mixed(weights, stack(cells, 1))
            i, f, o, new = chunk(self.gates(cat([seen, now], 1)), 4, 1)
            cell = sigmoid(f) * kept + sigmoid(i) * tanh(new)
            if memory is not None:
                cell = cell + self._read(memory, seen, now)
            cells.append(cell)
            states.append(sigmoid(o) * tanh(cell))
            looks.append(F.pad(weights, (0, length - step)))
        return stack(states[1:], 1), stack(cells[1:], 1), stack(looks, 1)[:, :, 1:]

    def _read(self, memory: Tapes, seen: Tensor, now: Tensor) -> Tensor:
        if self.inter is None or self.fuse is None:
            raise ValueError("LSTMN: memory is given, expected a model made with inter=True")
        mixed, weights = self.inter(cat([seen, now], 1), memory[0])
        return sigmoid(self.fuse(cat([mixed, now], 1))) * _mixed(weights, memory[1])


def _mixed(weights: Tensor, tape: Tensor) -> Tensor:
    """Return the sum (N, H) of a tape (N, T, H) with weights (N, T)."""
    return mul(weights.unsqueeze(2), tape).sum(1)
