# SPDX-License-Identifier: Apache-2.0
"""Data sets by name: some come with the package or its extras, others from files or the network.

Those from the network are fetched with ``download=True`` into ``root`` (else into the cache folder,
see `gradsmith.data.cache_dir`) and checked; files that are there already need no network.
"""

from gradsmith.data.datasets.documents import imdb as imdb
from gradsmith.data.datasets.documents import python_docs as python_docs
from gradsmith.data.datasets.measurements import breast_cancer as breast_cancer
from gradsmith.data.datasets.measurements import diabetes as diabetes
from gradsmith.data.datasets.measurements import iris as iris
from gradsmith.data.datasets.measurements import wine as wine
from gradsmith.data.datasets.pictures import cifar10 as cifar10
from gradsmith.data.datasets.pictures import cifar100 as cifar100
from gradsmith.data.datasets.pictures import digits as digits
from gradsmith.data.datasets.pictures import fashion_mnist as fashion_mnist
from gradsmith.data.datasets.pictures import mnist as mnist
