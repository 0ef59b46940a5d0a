# SPDX-License-Identifier: Apache-2.0
"""The recipes by group. A list, so that ``gradsmith list`` imports none of them."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One recipe.

    Attributes:
        name: what ``gradsmith run`` is given.
        group: the heading it stands under.
        summary: one line.
        module: below ``gradsmith.recipes``; its ``main(run)`` is the recipe, ``OPTIONS`` its own
            options with their defaults, ``STANDARD`` the standard set that it knows.
    """

    name: str
    group: str
    summary: str
    module: str

    def load(self) -> tuple[Callable[[Any], None], dict[str, Any]]:
        """Return the recipe's function and its options with their defaults."""
        module = importlib.import_module(f"gradsmith.recipes.{self.module}")
        return module.main, getattr(module, "OPTIONS", {})

    @property
    def standard(self) -> str | None:
        """The standard data set that the recipe knows, if any."""
        module = importlib.import_module(f"gradsmith.recipes.{self.module}")
        return getattr(module, "STANDARD", None)


def _group(group: str, *rows: tuple[str, str, str]) -> list[Entry]:
    return [Entry(name, group, summary, module) for name, module, summary in rows]


RECIPES = (
    *_group(
        "1 Neurons",
        ("gates", "neurons.gates", "McCulloch-Pitts neurons compute logic and add numbers"),
        (
            "perceptron",
            "neurons.perceptron",
            "Rosenblatt's rule learns AND, OR and NOT, and goes round on XOR",
        ),
        (
            "multi-output-perceptron",
            "neurons.multi_output_perceptron",
            "a layer of perceptrons reads scanned digits",
        ),
        (
            "adaline",
            "neurons.adaline",
            "Widrow and Hoff's rule at three rates, against least squares",
        ),
        (
            "logistic-neuron",
            "neurons.logistic_neuron",
            "two kinds of iris, and how sure the neuron is",
        ),
        ("rbf-network", "neurons.rbf_network", "radial basis functions separate two spirals"),
        ("competitive", "neurons.competitive", "winner-take-all units find clusters"),
        (
            "self-organising-map",
            "neurons.self_organising_map",
            "a square and scanned digits laid out on a grid",
        ),
        (
            "hopfield-memory",
            "neurons.hopfield_memory",
            "noisy patterns recalled, and where memory ends",
        ),
    ),
    *_group(
        "2 Feed-forward",
        (
            "training-faults",
            "feed_forward.training_faults",
            "gradsmith.doctor finds what is wrong with a dozen trainings",
        ),
        ("xor", "feed_forward.xor", "XOR and XNOR by a 2-2-1 or 2-4-1 network"),
        (
            "backpropagation",
            "feed_forward.backpropagation",
            "a 2-2-2 network step by step, every number beside autograd's",
        ),
        (
            "two-layer-net",
            "feed_forward.two_layer_net",
            "4 tanh neurons and a sigmoid against a logistic regression",
        ),
        (
            "digits-mlp",
            "feed_forward.digits_mlp",
            "784-300-100-10 on digits, with batch norm or not, and two others",
        ),
        (
            "regression-mlp",
            "feed_forward.regression_mlp",
            "11-30-10-5-1 on wines, 8-30-10-5-1 on Friedman's function",
        ),
        (
            "regularizers",
            "feed_forward.regularizers",
            "L2, max-norm and dropout in an ELU network with few digits",
        ),
        ("optimizers", "feed_forward.optimizers", "gradient descent to AdamW from the same start"),
        (
            "vanishing-gradients",
            "feed_forward.vanishing_gradients",
            "a deep sigmoid network does not learn; four cures",
        ),
        (
            "exploding-gradients",
            "feed_forward.exploding_gradients",
            "N(0, 1) weights at learning rate 1 do not learn; three cures",
        ),
        (
            "linear-regression",
            "feed_forward.linear_regression",
            "closed form, batch, stochastic and mini-batch descent agree",
        ),
        (
            "penalised-regression",
            "feed_forward.penalised_regression",
            "ridge, lasso and elastic net, and which weights they keep",
        ),
        (
            "polynomial-regression",
            "feed_forward.polynomial_regression",
            "degrees 1, 2 and 4 on a noisy parabola",
        ),
        (
            "logistic-regression",
            "feed_forward.logistic_regression",
            "benign or malignant, with its ROC curve",
        ),
        (
            "softmax-regression",
            "feed_forward.softmax_regression",
            "one linear layer tells ten digits or three irises apart",
        ),
        (
            "linear-svm",
            "feed_forward.linear_svm",
            "the widest street between two classes, by hinge loss",
        ),
        (
            "overfitting",
            "feed_forward.overfitting",
            "networks too small, right and too large; early stopping",
        ),
    ),
    *_group(
        "3 Convolutional networks",
        ("lenet5", "convolution.lenet5", "LeNet-5 in today's form on scanned digits"),
        (
            "lenet5-1998",
            "convolution.lenet5_1998",
            "LeNet-5 as published: connection table, trained subsampling, distances to drawings",
        ),
        (
            "digits-cnn",
            "convolution.digits_cnn",
            "AlexNet, ZFNet, VGG, GoogLeNet, ResNet, DenseNet, MobileNet, Darknet in small",
        ),
        (
            "cifar-nets",
            "convolution.cifar_nets",
            "the CIFAR nets (3x conv-pool-512; 32-64-64 with batch norm) on colour images",
        ),
        ("depth-study", "convolution.depth_study", "deep plain nets degrade, residual nets do not"),
        ("shortcut-kinds", "convolution.shortcut_kinds", "residual nets with shortcuts A, B and C"),
        (
            "random-filters",
            "convolution.random_filters",
            "a classifier on random frozen filters against trained ones",
        ),
        ("cnn1d", "convolution.cnn1d", "a convolutional net in time tells wave forms apart"),
        (
            "edge-pipeline",
            "convolution.edge_pipeline",
            "edges by fixed kernels: filters, convolutions, and kernels learned from examples",
        ),
        (
            "recurrent-labeller",
            "convolution.recurrent_labeller",
            "one small net corrects its own labelling of pixels",
        ),
        ("unet", "convolution.unet", "U-Net paints shapes pixel by pixel"),
        ("fcn", "convolution.fcn", "FCN-8s paints shapes pixel by pixel"),
    ),
    *_group(
        "4 Detection",
        (
            "yolo2",
            "detection.yolo2",
            "YOLO v2 finds shapes: anchors by k-means, pass-through, decoding, mAP",
        ),
        ("ssd", "detection.ssd", "SSD finds shapes: default boxes on maps of several scales"),
        (
            "fast-rcnn",
            "detection.fast_rcnn",
            "Fast R-CNN classifies and corrects proposals through RoI align",
        ),
        (
            "sliding-window",
            "detection.sliding_window",
            "a digit classifier slid over a page as one convolution",
        ),
    ),
    *_group(
        "5 Sequences",
        (
            "rnn-topologies",
            "sequences.rnn_topologies",
            "one to many, many to one, many to many: a plain RNN in all four",
        ),
        (
            "character-generator",
            "sequences.character_generator",
            "GRU, LSTM or RNN writes Python's documentation by characters",
        ),
        ("captioner", "sequences.captioner", "a CNN reads a picture, a GRU says what is on it"),
        (
            "sentiment",
            "sequences.sentiment",
            "stacked RNN, BiRNN, BiLSTM with and without mask on reviews",
        ),
        (
            "seq2seq-dates",
            "sequences.seq2seq_dates",
            "encoder and decoder, with and without attention, normalise dates",
        ),
        (
            "seq2seq-reversal",
            "sequences.seq2seq_reversal",
            "encoder and decoder, with and without attention, reverse digits",
        ),
        ("lstmn", "sequences.lstmn", "LSTM-N: intra- and inter-attention over a tape of states"),
        (
            "gru-conventions",
            "sequences.gru_conventions",
            "GRU with the reset gate before or after the product",
        ),
        ("video", "sequences.video", "CNN and LSTM tell how shapes move"),
        (
            "forecasting",
            "sequences.forecasting",
            "an LSTM forecasts a noisy series against naive forecasts",
        ),
        ("tagger", "sequences.tagger", "a BiLSTM tags parts of speech and named entities"),
        (
            "truncated-bptt",
            "sequences.truncated_bptt",
            "how far back-propagation through time has to reach",
        ),
    ),
    *_group(
        "6 Words",
        (
            "word2vec",
            "words.word2vec",
            "skip-gram or CBOW with negative sampling on Python's documentation",
        ),
        ("glove", "words.glove", "GloVe vectors from co-occurrence counts"),
        ("tfidf", "words.tfidf", "TF-IDF and a linear layer tell documents apart"),
    ),
    *_group(
        "7 Transformers",
        (
            "transformer-classifier",
            "transformers.classifier",
            "a transformer encoder classifies reviews",
        ),
        (
            "transformer-translator",
            "transformers.translator",
            "a transformer encoder and decoder translate dates",
        ),
        (
            "gpt",
            "transformers.gpt",
            "a small GPT against an LSTM of equal size, four ways to write",
        ),
        ("bert", "transformers.bert", "a small BERT fills in masked words, then is fine-tuned"),
    ),
    *_group(
        "8 Auto-encoders",
        ("autoencoder", "autoencoders.simple", "the simplest one: 784-32-784 on scanned digits"),
        ("deep-autoencoder", "autoencoders.deep", "784-128-64-32 and back"),
        (
            "undercomplete-autoencoder",
            "autoencoders.undercomplete",
            "codes of 2 to 32 values, against principal components",
        ),
        (
            "sparse-autoencoder",
            "autoencoders.sparse",
            "over-complete code, kept sparse by L1 or KL",
        ),
        (
            "denoising-autoencoder",
            "autoencoders.denoising",
            "restores scans from Gaussian or masking noise",
        ),
        (
            "contractive-autoencoder",
            "autoencoders.contractive",
            "Jacobian penalty by double backward and in closed form",
        ),
        (
            "convolutional-autoencoder",
            "autoencoders.convolutional",
            "strided convolutions down, transposed ones up",
        ),
        (
            "vae",
            "autoencoders.variational",
            "variational auto-encoder: ELBO, samples, map of the plane of codes",
        ),
        (
            "adversarial-autoencoder",
            "autoencoders.adversarial",
            "a discriminator shapes the codes (AAE)",
        ),
        (
            "vae-gan",
            "autoencoders.vae_gan",
            "a VAE whose distance of images a discriminator learns",
        ),
        (
            "anomaly-detection",
            "autoencoders.anomaly",
            "what an auto-encoder of one class cannot restore",
        ),
        (
            "compression",
            "autoencoders.compression",
            "codes of few bits against principal components",
        ),
        ("retrieval", "autoencoders.retrieval", "finding similar scans by their codes"),
        (
            "interpolation",
            "autoencoders.interpolation",
            "walks between digits through the codes of a VAE",
        ),
        ("pretraining", "autoencoders.pretraining", "layer-wise pre-training where labels are few"),
    ),
    *_group(
        "9 GANs",
        ("gan", "gans.vanilla", "a generator of dense layers draws digits (option loss)"),
        ("lsgan", "gans.lsgan", "the same game with least squares"),
        (
            "mode-collapse",
            "gans.mode_collapse",
            "a ring of Gaussians shows which modes a GAN and WGAN-GP cover",
        ),
        ("cgan", "gans.cgan", "a conditional GAN draws the digit it is asked for"),
        ("dcgan", "gans.dcgan", "convolutions draw digits, with a GIF of the training"),
        ("wgan", "gans.wgan", "a critic's gap falls: WGAN-GP or clipped weights (option bound)"),
        ("lapgan", "gans.lapgan", "digits from coarse to fine by a Laplacian pyramid of GANs"),
        ("infogan", "gans.infogan", "a code finds the ten digits without a label"),
        ("bigan", "gans.bigan", "an encoder inverts the generator (BiGAN, ALI)"),
        ("cyclegan", "gans.cyclegan", "two kinds of pictures translated without pairs"),
        ("pix2pix", "gans.pix2pix", "outlines become pictures, learned from pairs"),
        ("srgan", "gans.srgan", "enlarged digits made sharp by a judge (SRResNet, SRGAN)"),
        ("progressive-gan", "gans.progressive", "both nets grow from 4x4 to 32x32 pixels"),
        ("stylegan", "gans.stylegan", "styles at every size, and mixed, at 32x32 pixels"),
    ),
    *_group(
        "10 Energy models",
        (
            "boltzmann-machine",
            "energy.boltzmann",
            "the 4-2-4 encoder, with temperature and annealing",
        ),
        (
            "rbm",
            "energy.restricted",
            "restricted Boltzmann machine of digits: CD-k or persistent CD",
        ),
        (
            "rbm-learning-rules",
            "energy.learning_rules",
            "CD-1, CD-10 and persistent CD by exact log-likelihood",
        ),
        ("rbm-recommender", "energy.recommender", "films for users from their partial ratings"),
        ("dbn", "energy.belief", "deep belief network: greedy, then fine-tuned on labels"),
        (
            "dbn-wake-sleep",
            "energy.wake_sleep",
            "deep belief network that dreams digits of a class",
        ),
        (
            "dbm",
            "energy.deep_machine",
            "deep Boltzmann machine by mean field and persistent chains",
        ),
    ),
    *_group(
        "11 Autoregressive",
        ("pixelcnn", "autoregressive.pixelcnn", "PixelCNN draws digits pixel by pixel"),
        ("pixelrnn", "autoregressive.pixelrnn", "row LSTM: PixelRNN draws digits pixel by pixel"),
        ("wavenet", "autoregressive.wavenet", "WaveNet continues sounds made of sines"),
    ),
    *_group(
        "12 Reinforcement learning",
        (
            "grid-world",
            "reinforcement.grid_world",
            "3x4 cells where moves slip, by value and policy iteration",
        ),
        ("maze", "reinforcement.maze", "the shortest way out, by values"),
        (
            "bandits",
            "reinforcement.bandits",
            "epsilon-greedy, UCB1 and Thompson sampling by their regret",
        ),
        ("q-learning-sarsa", "reinforcement.cliff", "Q-learning and SARSA along a cliff"),
        ("reinforce", "reinforcement.reinforce", "REINFORCE balances a pole"),
        ("actor-critic", "reinforcement.actor_critic", "an actor and a critic balance a pole"),
        ("dqn", "reinforcement.dqn", "a deep Q-network balances a pole, double or not"),
        ("ddpg", "reinforcement.ddpg", "DDPG swings a pendulum up"),
    ),
    *_group(
        "13 Few-shot and others",
        (
            "fine-tuning",
            "few_shot.fine_tuning",
            "freeze, replace the head, unfreeze: from digits 0-6 to 7-9",
        ),
        ("siamese", "few_shot.siamese", "Two copies of a net tell same from different"),
        ("prototypical", "few_shot.prototypical", "New classes from few samples by their means"),
        ("maml", "few_shot.maml", "Weights from which a few steps learn new digits"),
        ("capsule", "few_shot.capsule", "A vector per class by routing of agreement"),
        ("spiking", "few_shot.spiking", "Integrate-and-fire neurons read digits from spikes"),
        ("graph", "few_shot.graph", "Graph convolution and message passing (option layer)"),
        (
            "style-transfer",
            "few_shot.style_transfer",
            "A picture repainted in the style of another",
        ),
        ("colourisation", "few_shot.colourisation", "Colour for grey pictures"),
        ("in-painting", "few_shot.inpainting", "What was cut out is filled in"),
        (
            "super-resolution",
            "few_shot.super_resolution",
            "Small pictures enlarged with learned detail",
        ),
    ),
    *_group(
        "14 Search",
        (
            "descent-paths",
            "search.descent_paths",
            "gradient descent, momentum, Adam, Newton, BFGS, L-BFGS, conjugate gradients",
        ),
        (
            "population-search",
            "search.population_search",
            "genetic algorithm, differential evolution, particle swarm on Rastrigin",
        ),
        ("ant-colony", "search.ant_colony", "ants find short round trips (TSP)"),
        (
            "local-search",
            "search.local_search",
            "simulated annealing, tabu search, iterated local search",
        ),
        (
            "hyper-parameters",
            "search.hyper_parameters",
            "grid, random and Bayesian (optuna) search over a small network",
        ),
    ),
)


def find(name: str) -> Entry:
    """Return the recipe of a name (ValueError suggesting the nearest)."""
    known = {entry.name: entry for entry in RECIPES}
    if name not in known:
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.4)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"recipe {name!r} is unknown{guess} (gradsmith list shows all)")
    return known[name]
