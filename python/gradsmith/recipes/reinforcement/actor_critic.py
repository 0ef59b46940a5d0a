# SPDX-License-Identifier: Apache-2.0
"""Actor and critic balance a pole: one learns what to do, the other how good a state is.

Eight episodes run side by side. After 32 steps of each, the critic's values close the returns,
``G_t = r_t + gamma G_(t+1)``, the actor's actions become more likely by how much they exceed the
critic's value, and the critic moves towards them (Barto, Sutton and Anderson 1983; Mnih et al.,
"Asynchronous methods for deep reinforcement learning", 2016). A bonus for entropy keeps it trying.
"""

from __future__ import annotations

import numpy as np

import gradsmith as gs
from gradsmith import models, nn
from gradsmith.backend import Array
from gradsmith.nn import functional as F
from gradsmith.nn.utils import clip_grad_norm_
from gradsmith.optim import Adam
from gradsmith.recipes.reinforcement.acting import best_action, on, tell_cart_pole
from gradsmith.recipes.reinforcement.environments import CART_POLE, Environment
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

OPTIONS = {"gamma": 0.99, "entropy": 0.01}
COUNT, STEPS, UPDATES = 8, 32, 10


class ActorCritic(nn.Module):
    """Observations (N, 4) -> scores of actions (N, 2) and values (N,)."""

    def __init__(self) -> None:
        super().__init__()
        self.actor = models.mlp([4, 64, 64, 2], nn.Tanh)
        self.critic = models.mlp([4, 64, 64, 1], nn.Tanh)

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores and values."""
        return self.actor(seen), self.critic(seen)[:, 0]


def closed_returns(rewards: Array, over: Array, after: Array, gamma: float) -> Array:
    """Return the discounted rewards (T, N); ``after`` (T, N) is the value of what came next.

    Where an episode is over at a step, and after the last one, ``after`` stands for all that
    follows.
    """
    found = np.zeros_like(rewards)
    for step in reversed(range(len(rewards))):
        last = step == len(rewards) - 1
        follows = after[step] if last else np.where(over[step], after[step], found[step + 1])
        found[step] = rewards[step] + gamma * follows
    return found


def learn(
    run: Run, model: ActorCritic, optimizer: Adam, environment: Environment
) -> tuple[float, int]:
    """Take 32 steps in each episode, learn from them; return the sum of rewards and the ends."""
    rows = []
    for _ in range(STEPS):
        seen = environment.observed()
        with gs.no_grad():
            chances = model.actor(on(run, seen)).softmax(dim=1)
        actions = gs.multinomial(chances, 1)[:, 0].cpu().numpy()
        rows.append((seen, actions, *environment.step(actions)))
    seen, actions, then, rewards, ended, cut = (np.stack(c) for c in zip(*rows, strict=True))
    with gs.no_grad():
        after = model(on(run, then.reshape(-1, 4)))[1].cpu().numpy().reshape(rewards.shape)
    after = np.where(ended, np.float32(0), after)
    returns = closed_returns(rewards, ended | cut, after, run.option("gamma"))
    goals = on(run, returns.reshape(-1))
    scores, values = model(on(run, seen.reshape(-1, 4)))
    logs = scores.log_softmax(dim=1)
    taken = logs.gather(1, on(run, actions.reshape(-1, 1)))[:, 0]
    entropy = -(logs.exp() * logs).sum(dim=1)
    loss = F.policy_gradient_loss(taken, goals, values, entropy, run.option("entropy"))
    optimizer.zero_grad()
    (loss + 0.5 * F.huber_loss(values, goals)).backward()
    clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    return float(rewards.sum()), int((ended | cut).sum())


def main(run: Run) -> None:
    """Play, learn, and show."""
    model = ActorCritic().to(run.device)
    optimizer = Adam(model.parameters(), lr=3e-3)
    environment = Environment(CART_POLE, COUNT)
    state = {"model": model, "optimizer": optimizer, "environment": environment}
    for _ in run.rounds(run.epochs(full=80, quick=20), state, "round"):
        found = [learn(run, model, optimizer, environment) for _ in range(UPDATES)]
        earned, ends = (sum(column) for column in zip(*found, strict=True))
        run.log(reward=earned / max(ends, 1))
    tell_cart_pole(run, best_action(run, model.actor), at_least=150, quick=70)
    run.model(model, (1, 4))
