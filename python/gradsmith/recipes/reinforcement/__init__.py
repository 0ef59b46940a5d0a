# SPDX-License-Identifier: Apache-2.0
"""Reinforcement learning: known worlds, tables of values, and networks that act."""
