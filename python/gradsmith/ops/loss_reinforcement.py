# SPDX-License-Identifier: Apache-2.0
"""Losses of reinforcement learning: temporal differences and the policy gradient."""

from __future__ import annotations

from gradsmith.ops.loss import huber_loss, mse_loss
from gradsmith.ops.loss_checks import check_alike, labels_of, reduced
from gradsmith.ops.options import check_number, names_errors
from gradsmith.tensor import Tensor


@names_errors
def td_loss(
    value: Tensor,
    reward: Tensor,
    next_value: Tensor,
    done: Tensor,
    gamma: float = 0.99,
    loss: str = "mse",
    reduction: str = "mean",
) -> Tensor:
    """Return the loss of ``value`` against ``reward + gamma next_value`` (Sutton 1988).

    The target gets no gradient. For Q-learning (Watkins 1989) ``value`` is that of the action
    taken, ``next_value`` the largest of the next state; loss ``"huber"`` is DQN's (Mnih et al.
    2015).

    Args:
        value: estimates of any shape.
        reward: what followed, the same shape and dtype.
        next_value: estimates of the next state, the same shape and dtype.
        done: True or 1 where the episode ended, so that nothing follows; the same shape.
        gamma: discount in [0, 1].
        loss: ``"mse"`` or ``"huber"``.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.

    Raises:
        ValueError: the shapes differ, or an option is out of range.
        TypeError: the dtypes differ or are not floating.
    """
    op = "td_loss"
    check_alike(op, value=value, reward=reward, next_value=next_value)
    if not 0 <= check_number(op, "gamma", gamma) <= 1:
        raise ValueError(f"{op}: gamma is {gamma}, expected a number from 0 to 1")
    if loss not in ("mse", "huber"):
        raise ValueError(f"{op}: loss is {loss!r}, expected 'mse' or 'huber'")
    ended = labels_of(op, done, value.shape, value, (0, 1), "done")
    target = reward.detach() + (1 - ended) * next_value.detach() * gamma
    return (mse_loss if loss == "mse" else huber_loss)(value, target, reduction)


@names_errors
def policy_gradient_loss(
    log_probs: Tensor,
    returns: Tensor,
    baseline: Tensor | None = None,
    entropy: Tensor | None = None,
    entropy_weight: float = 0.01,
    reduction: str = "mean",
) -> Tensor:
    """Return ``-log_probs (returns - baseline) - entropy_weight entropy``.

    Its gradient is REINFORCE's (Williams 1992). Returns and baseline get no gradient.

    Args:
        log_probs: log-probabilities of the actions taken, of any shape.
        returns: what followed them, the same shape and dtype.
        baseline: what was expected, the same shape and dtype; it lowers the variance.
        entropy: entropies of the policies, the same shape and dtype: a bonus for exploring.
        entropy_weight: its weight.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.

    Raises:
        ValueError: the shapes differ, or the reduction is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    op = "policy_gradient_loss"
    optional = {"baseline": baseline, "entropy": entropy}
    given = {name: each for name, each in optional.items() if each is not None}
    check_alike(op, log_probs=log_probs, returns=returns, **given)
    advantage = returns.detach()
    if baseline is not None:
        advantage = advantage - baseline.detach()
    losses = -(log_probs * advantage)
    if entropy is not None:
        losses = losses - entropy * check_number(op, "entropy_weight", entropy_weight)
    return reduced(op, losses, reduction)
