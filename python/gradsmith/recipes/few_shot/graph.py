# SPDX-License-Identifier: Apache-2.0
"""Nets on graphs: which community does a node belong to, when few of them are known?

A graph convolution (``layer=convolution``) averages neighbours, ``H' = D^-1/2 (A + I) D^-1/2 H W``
(Kipf and Welling, "Semi-supervised classification with graph convolutional networks", 2017).
Message passing (Gilmer et al. 2017, ``layer=message``): each edge sends a function of both its
ends, a node adds up what arrives and updates itself. The graph is synthetic: four communities,
edges mostly inside, noisy features, and five nodes of each with a label. A net that sees the
features alone is the comparison.
"""

from __future__ import annotations

import numpy as np

from gradsmith import nn, viz
from gradsmith.backend import Array
from gradsmith.nn import functional as F
from gradsmith.ops.creation import eye, from_numpy, zeros
from gradsmith.ops.joining import cat
from gradsmith.optim import Adam
from gradsmith.recipes.curves import plot_stages
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import predictions

OPTIONS = {"layer": "convolution"}
COMMUNITIES, NODES, FEATURES, KNOWN = 4, 200, 16, 5


def communities(seed: int) -> tuple[Array, Array, Array]:
    """Return the adjacency (N, N), features (N, FEATURES) and communities (N,) of a graph."""
    random = np.random.default_rng(seed)
    labels = np.arange(NODES) % COMMUNITIES
    chance = np.where(labels[:, None] == labels, 0.12, 0.01)
    upper = np.triu(random.random((NODES, NODES)) < chance, 1)
    centres = random.normal(size=(COMMUNITIES, FEATURES))
    features = centres[labels] + 2.5 * random.normal(size=(NODES, FEATURES))
    return (upper | upper.T).astype(np.float32), features.astype(np.float32), labels


def normalized(adjacency: Tensor) -> Tensor:
    """Return D^-1/2 (A + I) D^-1/2, D the degrees with the loop."""
    looped = adjacency + eye(len(adjacency), device=adjacency.device)
    scale = looped.sum(1).rsqrt()
    return scale[:, None] * looped * scale


class GraphConvolution(nn.Module):
    """Features (N, inputs) -> (N, outputs), mixed along the edges."""

    mixing: Tensor

    def __init__(self, adjacency: Tensor, inputs: int, outputs: int) -> None:
        """Keep the normalised adjacency."""
        super().__init__()
        self.register_buffer("mixing", normalized(adjacency))
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Return the new features."""
        mixed: Tensor = self.mixing @ self.linear(features)
        return mixed


class MessagePassing(nn.Module):
    """Features (N, inputs) -> (N, outputs): messages along edges, mean, update."""

    targets: Tensor
    sources: Tensor
    degrees: Tensor

    def __init__(self, adjacency: Tensor, inputs: int, outputs: int) -> None:
        """Keep the edges."""
        super().__init__()
        targets, sources = np.nonzero(adjacency.cpu().numpy())
        self.register_buffer("targets", from_numpy(targets).to(adjacency.device))
        self.register_buffer("sources", from_numpy(sources).to(adjacency.device))
        self.register_buffer("degrees", adjacency.sum(1).clamp(min=1)[:, None])
        self.message = nn.Sequential(nn.Linear(2 * inputs, outputs), nn.ReLU())
        self.update = nn.Linear(inputs + outputs, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Return the new features."""
        ends = cat([features[self.targets], features[self.sources]], 1)
        messages = self.message(ends)
        empty = zeros(len(features), messages.shape[1], device=features.device)
        arrived = empty.index_add(0, self.targets, messages) / self.degrees
        updated: Tensor = self.update(cat([features, arrived], 1))
        return updated


class NodeByNode(nn.Linear):
    """A dense layer that knows no edge, for comparison."""

    def __init__(self, adjacency: Tensor, inputs: int, outputs: int) -> None:
        """Make the layer."""
        super().__init__(inputs, outputs)


LAYERS = {"convolution": GraphConvolution, "message": MessagePassing, "none": NodeByNode}


def trained(run: Run, layer: str, adjacency: Tensor, x: Tensor, known: Tensor, y: Tensor) -> Tensor:
    """Return the scores (N, COMMUNITIES) of two layers trained on the known nodes."""
    make = LAYERS[layer]
    net = nn.Sequential(
        nn.Dropout(0.3),
        make(adjacency, FEATURES, 16),
        nn.ReLU(),
        nn.Dropout(0.5),
        make(adjacency, 16, COMMUNITIES),
    ).to(run.device)
    optimizer = Adam(net.parameters(), lr=0.01, weight_decay=5e-3)
    parts = {"net": net, "optimizer": optimizer}
    for _ in run.rounds(run.epochs(full=200, quick=100), parts, stage=layer):
        loss = F.cross_entropy(net(x)[known], y[known])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log(**{f"{layer}/loss": loss.item()})
    if layer != "none":
        run.model(net, tuple(x.shape))
    return predictions(net, x)


def main(run: Run) -> None:
    """Train with and without the edges."""
    layer = run.option("layer")
    if layer not in LAYERS:
        raise ValueError(f"option layer is {layer!r}, expected one of {', '.join(LAYERS)}")
    arrays = communities(run.seed)
    adjacency, x, y = (from_numpy(each).to(run.device) for each in arrays)
    known, unknown = (
        from_numpy(each).to(run.device)
        for each in np.split(np.arange(NODES), [KNOWN * COMMUNITIES])
    )
    rates = []
    for name in ("none", layer):
        scores = trained(run, name, adjacency, x, known, y)
        rates.append((scores[unknown].argmax(1) == y[unknown]).float().mean().item())
    run.figure("accuracy without edges", rates[0])
    run.figure("accuracy on unknown nodes", rates[1], at_least=0.85, quick=0.75)
    run.figure("gain by the edges", rates[1] - rates[0], at_least=0.1)
    picture = viz.plot_embeddings(scores, y)
    run.picture("nodes", picture, "The nodes by their scores, coloured by community.")
    run.picture("curves", plot_stages(run), "Loss on the known nodes.")
