# SPDX-License-Identifier: Apache-2.0
"""Image processing on NumPy arrays.

An image is an array (H, W) in grey, or (H, W, C) with channels last; bytes 0 ... 255 (uint8), or
floats (float32, float64) whose black is 0 and white 1. Results have the dtype of the image unless a
function says otherwise: bytes are computed in float32, rounded to the nearest and clipped; floats
are clipped only where a function says so. Numbers that are levels of a pixel (``fill``, colours)
are in the image's own units, 0 ... 255 for bytes; widths of Gaussians over levels and thresholds
are in units of white.
"""

from gradsmith.images.boxes import draw_boxes as draw_boxes
from gradsmith.images.boxes import nms as nms
from gradsmith.images.boxes import overlay_mask as overlay_mask
from gradsmith.images.colour import adjust_brightness as adjust_brightness
from gradsmith.images.colour import adjust_contrast as adjust_contrast
from gradsmith.images.colour import adjust_hue as adjust_hue
from gradsmith.images.colour import adjust_saturation as adjust_saturation
from gradsmith.images.colour import equalize_histogram as equalize_histogram
from gradsmith.images.colour import hsv_to_rgb as hsv_to_rgb
from gradsmith.images.colour import rgb_to_hsv as rgb_to_hsv
from gradsmith.images.colour import to_grey as to_grey
from gradsmith.images.colour import to_rgb as to_rgb
from gradsmith.images.edges import canny as canny
from gradsmith.images.edges import laplacian as laplacian
from gradsmith.images.edges import sobel as sobel
from gradsmith.images.files import read as read
from gradsmith.images.files import write as write
from gradsmith.images.filters import bilateral_filter as bilateral_filter
from gradsmith.images.filters import convolve as convolve
from gradsmith.images.filters import gaussian_blur as gaussian_blur
from gradsmith.images.filters import median_filter as median_filter
from gradsmith.images.filters import sharpen as sharpen
from gradsmith.images.filters import unsharp_mask as unsharp_mask
from gradsmith.images.geometry import crop as crop
from gradsmith.images.geometry import flip as flip
from gradsmith.images.morphology import closing as closing
from gradsmith.images.morphology import dilate as dilate
from gradsmith.images.morphology import erode as erode
from gradsmith.images.morphology import opening as opening
from gradsmith.images.noise import add_gaussian_noise as add_gaussian_noise
from gradsmith.images.noise import add_salt_and_pepper as add_salt_and_pepper
from gradsmith.images.pyramids import collapse_pyramid as collapse_pyramid
from gradsmith.images.pyramids import gaussian_pyramid as gaussian_pyramid
from gradsmith.images.pyramids import laplacian_pyramid as laplacian_pyramid
from gradsmith.images.resampling import resize as resize
from gradsmith.images.restoration import denoise_total_variation as denoise_total_variation
from gradsmith.images.restoration import wiener_deconvolution as wiener_deconvolution
from gradsmith.images.warping import affine as affine
from gradsmith.images.warping import affine_matrix as affine_matrix
from gradsmith.images.warping import rotate as rotate
from gradsmith.images.warping import warp as warp
