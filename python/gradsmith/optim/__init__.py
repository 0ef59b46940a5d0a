# SPDX-License-Identifier: Apache-2.0
"""Optimisers and learning-rate schedules with PyTorch's names, arguments and state."""

from gradsmith.optim import lr_scheduler as lr_scheduler
from gradsmith.optim.adadelta import Adadelta as Adadelta
from gradsmith.optim.adagrad import Adagrad as Adagrad
from gradsmith.optim.adam import Adam as Adam
from gradsmith.optim.adam import AdamW as AdamW
from gradsmith.optim.optimizer import Optimizer as Optimizer
from gradsmith.optim.rmsprop import RMSprop as RMSprop
from gradsmith.optim.sgd import SGD as SGD
