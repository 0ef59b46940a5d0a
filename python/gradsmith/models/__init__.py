# SPDX-License-Identifier: Apache-2.0
"""Architectures by name: modules with the options of their papers, no data and no training."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from gradsmith import nn
from gradsmith.models.alexnet import AlexNet as AlexNet
from gradsmith.models.alexnet import AlexNet2012 as AlexNet2012
from gradsmith.models.alexnet import ZFNet as ZFNet
from gradsmith.models.alexnet import alexnet as alexnet
from gradsmith.models.alexnet import alexnet_2012 as alexnet_2012
from gradsmith.models.alexnet import zfnet as zfnet
from gradsmith.models.autoencoder import Autoencoder as Autoencoder
from gradsmith.models.autoencoder import conv_autoencoder as conv_autoencoder
from gradsmith.models.autoencoder import dense_autoencoder as dense_autoencoder
from gradsmith.models.bert import BERT as BERT
from gradsmith.models.bert import MaskedLanguageModel as MaskedLanguageModel
from gradsmith.models.bert import bert as bert
from gradsmith.models.boltzmann import BoltzmannMachine as BoltzmannMachine
from gradsmith.models.capsule import CapsuleNet as CapsuleNet
from gradsmith.models.capsule import capsule_net as capsule_net
from gradsmith.models.cyclegan import CycleGANGenerator as CycleGANGenerator
from gradsmith.models.cyclegan import PatchGAN as PatchGAN
from gradsmith.models.cyclegan import Pix2PixGenerator as Pix2PixGenerator
from gradsmith.models.cyclegan import cyclegan_generator as cyclegan_generator
from gradsmith.models.cyclegan import patchgan as patchgan
from gradsmith.models.cyclegan import pix2pix_generator as pix2pix_generator
from gradsmith.models.darknet import Darknet19 as Darknet19
from gradsmith.models.darknet import YOLOv2 as YOLOv2
from gradsmith.models.darknet import darknet19 as darknet19
from gradsmith.models.darknet import yolo_v2 as yolo_v2
from gradsmith.models.dbm import DBM as DBM
from gradsmith.models.dbm import dbm as dbm
from gradsmith.models.dbn import DBN as DBN
from gradsmith.models.dbn import dbn as dbn
from gradsmith.models.dcgan import DCGANDiscriminator as DCGANDiscriminator
from gradsmith.models.dcgan import DCGANGenerator as DCGANGenerator
from gradsmith.models.dcgan import dcgan_discriminator as dcgan_discriminator
from gradsmith.models.dcgan import dcgan_generator as dcgan_generator
from gradsmith.models.densenet import DenseNet as DenseNet
from gradsmith.models.densenet import densenet121 as densenet121
from gradsmith.models.densenet import densenet169 as densenet169
from gradsmith.models.densenet import densenet201 as densenet201
from gradsmith.models.fast_rcnn import FastRCNN as FastRCNN
from gradsmith.models.googlenet import GoogLeNet as GoogLeNet
from gradsmith.models.googlenet import GoogLeNetOutputs as GoogLeNetOutputs
from gradsmith.models.googlenet import Inception as Inception
from gradsmith.models.googlenet import NaiveInception as NaiveInception
from gradsmith.models.googlenet import googlenet as googlenet
from gradsmith.models.gpt import GPT as GPT
from gradsmith.models.gpt import gpt as gpt
from gradsmith.models.hopfield import Hopfield as Hopfield
from gradsmith.models.hopfield import hopfield as hopfield
from gradsmith.models.lenet import LeNet5 as LeNet5
from gradsmith.models.lenet import LeNet5_1998 as LeNet5_1998
from gradsmith.models.lenet import digit_codes as digit_codes
from gradsmith.models.lenet import lenet5 as lenet5
from gradsmith.models.lenet import lenet5_1998 as lenet5_1998
from gradsmith.models.lstmn import LSTMN as LSTMN
from gradsmith.models.mlp import mlp as mlp
from gradsmith.models.mobilenet import MobileNetV1 as MobileNetV1
from gradsmith.models.mobilenet import mobilenet_v1 as mobilenet_v1
from gradsmith.models.pixelcnn import PixelCNN as PixelCNN
from gradsmith.models.pixelcnn import PixelRNN as PixelRNN
from gradsmith.models.pixelcnn import RowLSTM as RowLSTM
from gradsmith.models.progressive import ProgressiveDiscriminator as ProgressiveDiscriminator
from gradsmith.models.progressive import ProgressiveGenerator as ProgressiveGenerator
from gradsmith.models.progressive import progressive_discriminator as progressive_discriminator
from gradsmith.models.progressive import progressive_generator as progressive_generator
from gradsmith.models.rbm import RBM as RBM
from gradsmith.models.rbm import RatingsRBM as RatingsRBM
from gradsmith.models.rbm import rbm as rbm
from gradsmith.models.recurrent_labeller import RecurrentLabeller as RecurrentLabeller
from gradsmith.models.recurrent_language import RecurrentLanguageModel as RecurrentLanguageModel
from gradsmith.models.recurrent_language import recurrent_language_model as recurrent_language_model
from gradsmith.models.resnet import CifarResNet as CifarResNet
from gradsmith.models.resnet import ResNet as ResNet
from gradsmith.models.resnet import plain18 as plain18
from gradsmith.models.resnet import plain20 as plain20
from gradsmith.models.resnet import plain34 as plain34
from gradsmith.models.resnet import plain56 as plain56
from gradsmith.models.resnet import resnet18 as resnet18
from gradsmith.models.resnet import resnet20 as resnet20
from gradsmith.models.resnet import resnet32 as resnet32
from gradsmith.models.resnet import resnet34 as resnet34
from gradsmith.models.resnet import resnet44 as resnet44
from gradsmith.models.resnet import resnet50 as resnet50
from gradsmith.models.resnet import resnet56 as resnet56
from gradsmith.models.resnet import resnet101 as resnet101
from gradsmith.models.resnet import resnet152 as resnet152
from gradsmith.models.self_organizing_map import SelfOrganizingMap as SelfOrganizingMap
from gradsmith.models.self_organizing_map import self_organizing_map as self_organizing_map
from gradsmith.models.seq2seq import Seq2Seq as Seq2Seq
from gradsmith.models.seq2seq import seq2seq as seq2seq
from gradsmith.models.srgan import SRResNet as SRResNet
from gradsmith.models.srgan import srresnet as srresnet
from gradsmith.models.ssd import SSD as SSD
from gradsmith.models.ssd import MultiScaleHead as MultiScaleHead
from gradsmith.models.ssd import decode_boxes as decode_boxes
from gradsmith.models.ssd import default_boxes as default_boxes
from gradsmith.models.ssd import encode_boxes as encode_boxes
from gradsmith.models.stylegan import StyleGANGenerator as StyleGANGenerator
from gradsmith.models.stylegan import stylegan_generator as stylegan_generator
from gradsmith.models.transformer import TransformerClassifier as TransformerClassifier
from gradsmith.models.transformer import TransformerTranslator as TransformerTranslator
from gradsmith.models.unet import FCN as FCN
from gradsmith.models.unet import UNet as UNet
from gradsmith.models.unet import fcn as fcn
from gradsmith.models.unet import unet as unet
from gradsmith.models.vae import VAE as VAE
from gradsmith.models.vae import FeatureDiscriminator as FeatureDiscriminator
from gradsmith.models.vae import VAEOutputs as VAEOutputs
from gradsmith.models.vae import vae as vae
from gradsmith.models.vgg import VGG as VGG
from gradsmith.models.vgg import vgg11 as vgg11
from gradsmith.models.vgg import vgg13 as vgg13
from gradsmith.models.vgg import vgg16 as vgg16
from gradsmith.models.vgg import vgg19 as vgg19
from gradsmith.models.wavenet import WaveNet as WaveNet
from gradsmith.models.wavenet import wavenet as wavenet
from gradsmith.models.word2vec import GloVe as GloVe
from gradsmith.models.word2vec import Word2Vec as Word2Vec
from gradsmith.models.word2vec import glove_loss as glove_loss

_LARGE, _CIFAR = (3, 224, 224), (3, 32, 32)

# Name -> constructor and the size of one input, without the batch dimension.
_MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "alexnet": (alexnet, _LARGE),
    "conv_autoencoder": (conv_autoencoder, (1, 28, 28)),
    "dense_autoencoder": (dense_autoencoder, (1, 28, 28)),
    "vae": (vae, (1, 28, 28)),
    "rbm": (rbm, (784,)),
    "dbm": (dbm, (784,)),
    "dbn": (dbn, (784,)),
    "alexnet_2012": (alexnet_2012, (3, 227, 227)),
    "zfnet": (zfnet, _LARGE),
    "capsule_net": (capsule_net, (1, 28, 28)),
    "cyclegan_generator": (cyclegan_generator, (3, 256, 256)),
    "patchgan": (patchgan, (3, 256, 256)),
    "pix2pix_generator": (pix2pix_generator, (3, 256, 256)),
    "darknet19": (darknet19, _LARGE),
    "yolo_v2": (yolo_v2, (3, 416, 416)),
    "dcgan_discriminator": (dcgan_discriminator, (3, 64, 64)),
    "dcgan_generator": (dcgan_generator, (100,)),
    "densenet121": (densenet121, _LARGE),
    "densenet169": (densenet169, _LARGE),
    "densenet201": (densenet201, _LARGE),
    "googlenet": (googlenet, _LARGE),
    "lenet5": (lenet5, (1, 32, 32)),
    "lenet5_1998": (lenet5_1998, (1, 32, 32)),
    "mobilenet_v1": (mobilenet_v1, _LARGE),
    "plain18": (plain18, _LARGE),
    "plain20": (plain20, _CIFAR),
    "plain34": (plain34, _LARGE),
    "plain56": (plain56, _CIFAR),
    "progressive_discriminator": (progressive_discriminator, (3, 1024, 1024)),
    "progressive_generator": (progressive_generator, (512,)),
    "resnet18": (resnet18, _LARGE),
    "resnet20": (resnet20, _CIFAR),
    "resnet32": (resnet32, _CIFAR),
    "resnet34": (resnet34, _LARGE),
    "resnet44": (resnet44, _CIFAR),
    "resnet50": (resnet50, _LARGE),
    "resnet56": (resnet56, _CIFAR),
    "resnet101": (resnet101, _LARGE),
    "resnet152": (resnet152, _LARGE),
    "srresnet": (srresnet, (3, 24, 24)),
    "stylegan_generator": (stylegan_generator, (512,)),
    "fcn": (fcn, _LARGE),
    "unet": (unet, (1, 572, 572)),
    "vgg11": (vgg11, _LARGE),
    "vgg13": (vgg13, _LARGE),
    "vgg16": (vgg16, _LARGE),
    "vgg19": (vgg19, _LARGE),
}


def list_models() -> list[str]:
    """Return the names that `get_model` knows."""
    return sorted(_MODELS)


def _entry(name: str) -> tuple[Callable[[], nn.Module], tuple[int, ...]]:
    if name not in _MODELS:
        near = difflib.get_close_matches(name.lower(), _MODELS, n=1, cutoff=0.4)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"model {name!r} is unknown{guess} (known: {', '.join(list_models())})")
    return _MODELS[name]


def get_model(name: str) -> nn.Module:
    """Return a model with fresh weights (ValueError for an unknown name)."""
    return _entry(name)[0]()


def model_input_size(name: str) -> tuple[int, ...]:
    """Return the size of one input of a model, as (C, H, W) (ValueError for an unknown name)."""
    return _entry(name)[1]
