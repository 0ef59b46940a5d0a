# SPDX-License-Identifier: Apache-2.0
"""REINFORCE balances a pole: actions that did better than usual become more likely.

The policy is a network that gives the probability of each action. After some episodes every action
is made more likely in proportion to the discounted reward that came after it, less the mean:
``gradient = mean (G_t - b) grad log p(a_t | s_t)`` (Williams, "Simple statistical
gradient-following algorithms", 1992).
"""

from __future__ import annotations

import numpy as np

import gradsmith as gs
from gradsmith import models, nn
from gradsmith.backend import Array
from gradsmith.nn import Module
from gradsmith.nn import functional as F
from gradsmith.optim import Adam
from gradsmith.recipes.reinforcement.acting import best_action, on, tell_cart_pole
from gradsmith.recipes.reinforcement.environments import CART_POLE, Environment
from gradsmith.recipes.run import Run

OPTIONS = {"gamma": 0.99}


def rewards_to_go(rewards: Array, gamma: float) -> Array:
    """Return ``G_t = r_t + gamma G_(t+1)`` of rewards (T, ...)."""
    found = np.zeros_like(rewards)
    after = np.zeros_like(rewards[0])
    for step in reversed(range(len(rewards))):
        after = rewards[step] + gamma * after
        found[step] = after
    return found


def episodes(run: Run, model: Module, count: int) -> tuple[Array, Array, Array, Array]:
    """Play side by side: observations (T, count, D), actions, rewards and whether still alive."""
    environment = Environment(CART_POLE, count)
    seen, alive = environment.observed(), np.ones(count, bool)
    rows: list[tuple[Array, Array, Array, Array]] = []
    while alive.any():
        with gs.no_grad():
            chances = model(on(run, seen)).softmax(dim=1)
        actions = gs.multinomial(chances, 1)[:, 0].cpu().numpy()
        _, rewards, ended, cut = environment.step(actions)
        rows.append((seen, actions, rewards * alive, alive))
        alive = alive & ~(ended | cut)
        seen = environment.observed()
    return tuple(np.stack(column) for column in zip(*rows, strict=True))  # type: ignore[return-value]


def main(run: Run) -> None:
    """Play, learn, and show."""
    model = models.mlp([4, 64, 2], nn.Tanh).to(run.device)
    optimizer = Adam(model.parameters(), lr=0.01)
    state = {"model": model, "optimizer": optimizer}
    for _ in run.rounds(run.epochs(full=80, quick=30), state, "round"):
        seen, actions, rewards, alive = episodes(run, model, count=16)
        returns = rewards_to_go(rewards, run.option("gamma"))[alive]
        gains = (returns - returns.mean()) / (returns.std() + 1e-6)
        optimizer.zero_grad()
        logs = model(on(run, seen[alive])).log_softmax(dim=1)
        taken = logs.gather(1, on(run, actions[alive])[:, None])[:, 0]
        F.policy_gradient_loss(taken, on(run, gains)).backward()
        optimizer.step()
        run.log(reward=rewards.sum(axis=0).mean())
    tell_cart_pole(run, best_action(run, model), at_least=150, quick=80)
    run.model(model, (1, 4))
