# SPDX-License-Identifier: Apache-2.0
"""Learning from few samples, and systems that fit nowhere else."""
