# SPDX-License-Identifier: Apache-2.0
"""What the agents share: acting by a network, and telling how well it goes."""

from __future__ import annotations

import numpy as np

import gradsmith as gs
from gradsmith import viz
from gradsmith.backend import Array
from gradsmith.nn import Module
from gradsmith.recipes.reinforcement.drawings import film
from gradsmith.recipes.reinforcement.environments import (
    CART_POLE,
    Act,
    Environment,
    episode_rewards,
)
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

EPISODES = 20


def on(run: Run, array: Array) -> Tensor:
    """Return an array as a tensor on the run's device."""
    return gs.tensor(array, device=run.device)


def best_action(run: Run, model: Module) -> Act:
    """Return how to act by the largest of a network's outputs."""

    def act(seen: Array) -> Array:
        with gs.no_grad():
            return np.asarray(model(on(run, seen)).argmax(dim=1).cpu().numpy())

    return act


def tell(run: Run, act: Act, name: str, at_least: float, quick: float) -> float:
    """Measure 20 episodes of an environment, film another, and return the mean reward."""
    found = episode_rewards(Environment(name, EPISODES), act)
    mean = float(found.mean())
    run.figure(f"mean reward of {EPISODES} episodes", mean, at_least=at_least, quick=quick)
    run.figure("the least of them", float(found.min()))
    path = viz.save_gif(film(name, act), run.folder / "pictures" / "episode.gif", fps=12)
    run.animation("episode", path, "The agent after training.")
    return mean


def tell_cart_pole(run: Run, act: Act, at_least: float, quick: float) -> None:
    """Tell how well an agent balances the pole."""
    tell(run, act, CART_POLE, at_least, quick)
    pushes = Environment(CART_POLE, 100)
    chance = episode_rewards(pushes, lambda seen: gs.randint(2, (len(seen),)).numpy())
    run.figure("mean reward of random pushes", float(chance.mean()))
    picture = viz.plot_curves(
        {"training": run.history["reward"]}, xlabel="round", ylabel="mean reward of an episode"
    )
    run.picture("rewards", picture, "Steps until the pole falls, as training goes on.")
