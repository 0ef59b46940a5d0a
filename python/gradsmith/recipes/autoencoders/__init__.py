# SPDX-License-Identifier: Apache-2.0
"""Auto-encoders and what they are used for."""
