# SPDX-License-Identifier: Apache-2.0
"""Plans in a world that is known: value iteration, policy iteration, the closed solution.

With rewards R(s) and transitions P(s'|s, a) the values of the best policy fulfil Bellman's
equations ``V(s) = R(s) + gamma max_a sum_s' P(s'|s, a) V(s')`` (Bellman 1957). For a given policy
they are linear: ``(I - gamma P) V = R``.
"""

from __future__ import annotations

import gradsmith as gs
from gradsmith.tensor import Tensor


def greedy(transitions: Tensor, values: Tensor) -> Tensor:
    """Return the best action (S,) of each state for transitions (A, S, S) and values (S,)."""
    return (transitions @ values).argmax(dim=0)


def solution(transitions: Tensor, rewards: Tensor, gamma: float, policy: Tensor) -> Tensor:
    """Return the values (S,) of a policy (S,) by solving Bellman's equations."""
    states = len(rewards)
    chances = transitions[policy, gs.arange(states)]
    return gs.linalg.solve(gs.eye(states, dtype=rewards.dtype) - gamma * chances, rewards)


def value_iteration(
    transitions: Tensor,
    rewards: Tensor,
    gamma: float,
    tolerance: float = 1e-12,
    sweeps: int = 100_000,
) -> tuple[Tensor, list[float]]:
    """Return the values (S,) after sweeps until nothing changes, and the change of each sweep.

    Raises:
        ValueError: so many sweeps do not end it, as where to go on for ever pays.
    """
    values, changes = gs.zeros_like(rewards), [float("inf")]
    while changes[-1] > tolerance:
        if len(changes) > sweeps:
            raise ValueError(
                f"value_iteration: {sweeps} sweeps did not end it; they change {changes[-1]:g}"
            )
        new = rewards + gamma * (transitions @ values).amax(dim=0)
        changes.append((new - values).abs().max().item())
        values = new
    return values, changes[1:]


def policy_iteration(
    transitions: Tensor, rewards: Tensor, gamma: float
) -> tuple[Tensor, Tensor, int]:
    """Return the values (S,) and actions (S,) of the best policy, and how many were tried.

    It begins with action 0 everywhere; each round solves for the values and takes the best action
    where that gains something (Howard 1960).
    """
    policy = gs.zeros(len(rewards), dtype=gs.int64)
    everyone, tried = gs.arange(len(rewards)), 0
    while True:
        tried += 1
        values = solution(transitions, rewards, gamma, policy)
        ahead = transitions @ values
        gains = ahead.amax(dim=0) > ahead[policy, everyone] + 1e-12
        if not gains.any().item():
            return values, policy, tried
        policy = gs.where(gains, ahead.argmax(dim=0), policy)
