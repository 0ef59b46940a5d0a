# SPDX-License-Identifier: Apache-2.0
"""Learning from few samples, and systems that fit nowhere else."""

"""Learning from few samples, and nets of other kinds."""
