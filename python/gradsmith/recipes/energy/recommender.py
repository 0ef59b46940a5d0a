# SPDX-License-Identifier: Apache-2.0
"""A restricted Boltzmann machine recommends films from partial ratings.

Each film is a group of five units of which one is on, ``p(v_k = 1 | h) = softmax(b + W h)_k``;
films that a user has not rated have no units at all (Salakhutdinov, Mnih, Hinton, "Restricted
Boltzmann machines for collaborative filtering", 2007). The ratings are synthetic: each film belongs
to some of five genres, each user likes some, and a grade is 3 plus their agreement plus noise, from
1 to 5; a user has rated 40 % of 60 films.
"""

from __future__ import annotations

import numpy as np

from gradsmith import models, viz
from gradsmith.backend import Array
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor
from gradsmith.train import contrastive_divergence

OPTIONS = {"hidden": 40, "k": 1}
GENRES = ("space", "western", "romance", "crime", "comedy")
FILMS, GRADES, NOISE = 60, 5, 0.5


def made_up_ratings(users: int, seed: int) -> tuple[Array, Array]:
    """Return all grades (users, FILMS) from 1 to 5, and the genres (FILMS, 5) as 0 or 1."""
    rng = np.random.default_rng(seed)
    genres = np.eye(len(GENRES))[np.arange(FILMS) % len(GENRES)]
    genres = np.maximum(genres, rng.random(genres.shape) < 0.15)
    likes = rng.choice([-1.5, 0.0, 1.5], (users, len(GENRES)))
    agreement = likes @ genres.T / np.sqrt(genres.sum(1))
    grades = 3 + agreement + rng.normal(0, 0.4, FILMS) + NOISE * rng.normal(size=(users, FILMS))
    return np.clip(np.rint(grades), 1, GRADES).astype(np.int64), genres


def root_error(expected: Tensor, grades: Tensor, where: Tensor) -> float:
    """Return the root mean square error over the ratings where a mask is 1."""
    squares = (expected - grades).square() * where
    return float((squares.sum() / where.sum()).sqrt().item())


def main(run: Run) -> None:
    """Train on part of the ratings, predict the others, recommend."""
    users = run.choose(2000, 600)
    grades, genres = made_up_ratings(users, run.seed)
    rng = np.random.default_rng(run.seed + 1)
    draws: Array = np.asarray(rng.random(grades.shape))
    known, hidden = (
        from_numpy(mask.astype(np.float32)).to(run.device)
        for mask in (draws < 0.3, (draws >= 0.3) & (draws < 0.4))
    )
    stars = from_numpy(grades).to(run.device)
    ratings = F.one_hot(stars - 1, GRADES).float() * known.unsqueeze(-1)
    machine = models.RatingsRBM(FILMS, GRADES, run.option("hidden")).to(run.device)
    optimizer = Adam(machine.parameters(), lr=3e-2)

    def step(batch: Tensor) -> dict[str, float]:
        rated = batch.sum(-1)
        loss, _ = contrastive_divergence(
            machine.free_energy,
            machine.sample_hidden,
            lambda units: machine.sample_visible(units, rated),
            batch,
            run.option("k"),
        )
        minimise(optimizer, loss)
        return {"free energy of ratings": machine.free_energy(batch).mean().item()}

    states = {"machine": machine, "optimizer": optimizer}
    train(run, step, [ratings], states, epochs=run.epochs(full=60, quick=15))
    expected = machine(ratings).detach()
    mean = (stars * known).sum(0) / known.sum(0)
    by_mean = root_error(mean.expand_as(expected), stars, hidden)
    by_machine = root_error(expected, stars, hidden)
    run.figure("error of a film's mean grade", by_mean)
    run.figure("error of the machine, unseen ratings", by_machine)
    run.figure("machine / mean", by_machine / by_mean, at_most=0.8, quick=0.9)
    _recommend(run, expected, stars, known, genres)
    liking = (machine.weight[:, :, -1] - machine.weight[:, :, 0]).T
    plane = viz.plot_embeddings(liking, genres.argmax(1))
    run.picture("films", plane, "Films by their weights, coloured by genre, which it never saw.")
    run.model(machine, (1, FILMS, GRADES))


def _recommend(run: Run, expected: Tensor, stars: Tensor, known: Tensor, genres: Array) -> None:
    """Tell how good the best five unseen films of each user are, and show those of one."""
    places = (expected - 10 * known).topk(5, 1)[1]
    best = stars.gather(1, places).float().mean()
    unseen = (stars * (1 - known)).sum() / (1 - known).sum()
    run.figure("mean grade of unseen films", unseen)
    run.figure("of the five recommended", best, at_least=4.2, quick=3.8)
    rows = [
        [
            film,
            ", ".join(name for name, has in zip(GENRES, genres[film], strict=True) if has),
            expected[0, film].item(),
            stars[0, film].item(),
        ]
        for film in places[0].tolist()
    ]
    run.table("Recommended to the first user", ["film", "genres", "expected", "true"], rows)
