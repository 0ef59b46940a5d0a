# SPDX-License-Identifier: Apache-2.0
"""Learning-rate schedules: call ``step()`` after each epoch (or batch), after the optimiser's.

Each works from the group's present rate where it can, as PyTorch's do, so several may act on one
optimiser; ``step(epoch)`` goes to a step by the closed form.
"""

from gradsmith.optim.lr_scheduler.base import LRScheduler as LRScheduler
from gradsmith.optim.lr_scheduler.combined import ChainedScheduler as ChainedScheduler
from gradsmith.optim.lr_scheduler.combined import SequentialLR as SequentialLR
from gradsmith.optim.lr_scheduler.cosine import CosineAnnealingLR as CosineAnnealingLR
from gradsmith.optim.lr_scheduler.cosine import (
    CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts,
)
from gradsmith.optim.lr_scheduler.cycle import CyclicLR as CyclicLR
from gradsmith.optim.lr_scheduler.cycle import OneCycleLR as OneCycleLR
from gradsmith.optim.lr_scheduler.decay import ConstantLR as ConstantLR
from gradsmith.optim.lr_scheduler.decay import ExponentialLR as ExponentialLR
from gradsmith.optim.lr_scheduler.decay import InverseTimeLR as InverseTimeLR
from gradsmith.optim.lr_scheduler.decay import LinearLR as LinearLR
from gradsmith.optim.lr_scheduler.decay import MultiStepLR as MultiStepLR
from gradsmith.optim.lr_scheduler.decay import PolynomialLR as PolynomialLR
from gradsmith.optim.lr_scheduler.decay import StepLR as StepLR
from gradsmith.optim.lr_scheduler.functions import LambdaLR as LambdaLR
from gradsmith.optim.lr_scheduler.functions import MultiplicativeLR as MultiplicativeLR
from gradsmith.optim.lr_scheduler.plateau import ReduceLROnPlateau as ReduceLROnPlateau
