# SPDX-License-Identifier: Apache-2.0
"""Initialisers: each writes into a tensor, off the tape, and returns it.

Random numbers come from the default generator (`gradsmith.manual_seed`) or the one given.
"""

from gradsmith.nn.init.by_name import get as get
from gradsmith.nn.init.by_name import initialize as initialize
from gradsmith.nn.init.drawn import normal_ as normal_
from gradsmith.nn.init.drawn import sparse_ as sparse_
from gradsmith.nn.init.drawn import trunc_normal_ as trunc_normal_
from gradsmith.nn.init.drawn import uniform_ as uniform_
from gradsmith.nn.init.fixed import constant_ as constant_
from gradsmith.nn.init.fixed import dirac_ as dirac_
from gradsmith.nn.init.fixed import eye_ as eye_
from gradsmith.nn.init.fixed import ones_ as ones_
from gradsmith.nn.init.fixed import zeros_ as zeros_
from gradsmith.nn.init.scaled import calculate_gain as calculate_gain
from gradsmith.nn.init.scaled import kaiming_normal_ as kaiming_normal_
from gradsmith.nn.init.scaled import kaiming_uniform_ as kaiming_uniform_
from gradsmith.nn.init.scaled import lecun_normal_ as lecun_normal_
from gradsmith.nn.init.scaled import lecun_uniform_ as lecun_uniform_
from gradsmith.nn.init.scaled import orthogonal_ as orthogonal_
from gradsmith.nn.init.scaled import xavier_normal_ as xavier_normal_
from gradsmith.nn.init.scaled import xavier_uniform_ as xavier_uniform_
