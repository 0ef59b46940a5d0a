# SPDX-License-Identifier: Apache-2.0
"""Kinds of command-line arguments; argparse shows their names in its messages."""

from __future__ import annotations


def count(text: str) -> int:
    """Return a number of at least 1."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def seed_number(text: str) -> int:
    """Return a number of 64 bits."""
    value = int(text)
    if not 0 <= value < 2**64:
        raise ValueError
    return value


# argparse shows these names in its messages.
count.__name__ = "positive int"
seed_number.__name__ = "seed"
