# SPDX-License-Identifier: Apache-2.0
"""The problems of each op family: ``problems(against)`` yields them."""
