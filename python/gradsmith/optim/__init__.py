# SPDX-License-Identifier: Apache-2.0
"""Optimisers and learning-rate schedules with PyTorch's names, arguments and state."""

from gradsmith.optim import lr_scheduler as lr_scheduler
from gradsmith.optim import search as search
from gradsmith.optim import swa_utils as swa_utils
from gradsmith.optim.adadelta import Adadelta as Adadelta
from gradsmith.optim.adafactor import Adafactor as Adafactor
from gradsmith.optim.adagrad import Adagrad as Adagrad
from gradsmith.optim.adam import Adam as Adam
from gradsmith.optim.adam import AdamW as AdamW
from gradsmith.optim.adamax import Adamax as Adamax
from gradsmith.optim.asgd import ASGD as ASGD
from gradsmith.optim.conjugate_gradient import ConjugateGradient as ConjugateGradient
from gradsmith.optim.lbfgs import BFGS as BFGS
from gradsmith.optim.lbfgs import LBFGS as LBFGS
from gradsmith.optim.lion import Lion as Lion
from gradsmith.optim.muon import Muon as Muon
from gradsmith.optim.nadam import NAdam as NAdam
from gradsmith.optim.newton import Newton as Newton
from gradsmith.optim.optimizer import Optimizer as Optimizer
from gradsmith.optim.perceptron import PerceptronRule as PerceptronRule
from gradsmith.optim.radam import RAdam as RAdam
from gradsmith.optim.rmsprop import RMSprop as RMSprop
from gradsmith.optim.rprop import Rprop as Rprop
from gradsmith.optim.sag import SAG as SAG
from gradsmith.optim.sag import SAGA as SAGA
from gradsmith.optim.sgd import GD as GD
from gradsmith.optim.sgd import SGD as SGD
from gradsmith.optim.trust_ratio import LAMB as LAMB
from gradsmith.optim.trust_ratio import LARS as LARS
