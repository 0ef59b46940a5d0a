# SPDX-License-Identifier: Apache-2.0
"""The families of problems of `bench/run.py --device cuda`."""
