# SPDX-License-Identifier: Apache-2.0
"""Tests of the values of functions that have neither a Case nor a row of value_samples."""

from __future__ import annotations

VALUE_TESTS = {
    "test_autograd_derivatives.py::test_hessian_and_products": "gs.autograd.functional.hessian "
    "gs.autograd.functional.hvp gs.autograd.functional.vhp",
    "test_autograd_derivatives.py::test_jacobian_and_products": "gs.autograd.functional.jacobian "
    "gs.autograd.functional.jvp gs.autograd.functional.vjp",
    "test_autograd_derivatives.py::test_hook_after_accumulation": (
        "Tensor.register_post_accumulate_grad_hook"
    ),
    "test_autograd.py::test_leaf_hook_replaces_the_gradient": "Tensor.register_hook",
    "test_autograd.py::test_retain_grad": "Tensor.retain_grad",
    "test_creation.py::test_default_dtype": "gs.set_default_dtype",
    "test_elementwise_classic.py::test_gumbel_softmax_draws_as_the_softmax_says": (
        "F.gumbel_softmax"
    ),
    "test_elementwise_classic.py::test_kohonen_moves_the_winners_to_the_mean_of_their_inputs": (
        "F.kohonen_step"
    ),
    "test_gemm_precision.py::test_setting": "gs.get_float32_matmul_precision "
    "gs.set_float32_matmul_precision",
    "test_interchange.py::test_cuda_says_that_it_is_not_there": "Tensor.cuda",
    "test_io.py::test_nested_state": "gs.save gs.load",
    "test_linalg_lu.py::test_names_outside_linalg": "gs.lu_solve",
    "test_linalg_lu.py::test_the_factors_make_the_matrix": "gs.lu gs.lu_unpack",
    "test_loss_adversarial.py::test_elbo": "F.elbo_loss",
    "test_loss_adversarial.py::test_feature_matching": "F.feature_matching_loss",
    "test_loss_adversarial.py::test_gradient_penalty_of_a_linear_critic": "F.gradient_penalty",
    "test_loss_adversarial.py::test_temporal_difference": "F.td_loss",
    "test_loss_margin.py::test_triplets_with_a_distance_of_ones_own": (
        "F.triplet_margin_with_distance_loss"
    ),
    "test_loss_structured.py::test_perceptual_loss_of_contents_and_styles": "F.perceptual_loss",
    "test_nn_constraints.py::test_penalties_of_tensors": "gs.nn.regularizers.ActivityL1 "
    "gs.nn.regularizers.ElasticNet gs.nn.regularizers.L1 gs.nn.regularizers.L2",
    "test_nn_constraints.py::test_a_model_s_penalty": "gs.nn.regularizers.penalty",
    "test_nn_constraints.py::test_noise_falls_as_its_formula": "gs.nn.utils.add_grad_noise_",
    "test_nn_constraints.py::test_clipping_by_tensor": "gs.nn.utils.clip_grad_norm_per_tensor_",
    "test_nn_constraints.py::test_total_norm": "gs.nn.utils.get_total_norm "
    "gs.nn.utils.clip_grads_with_norm_",
    "test_nn_late_norms.py::test_a_convolution_and_its_norm_become_one": (
        "gs.nn.utils.fuse_conv_bn_eval"
    ),
    "test_nn_late_norms.py::test_a_linear_layer_and_its_norm_become_one": (
        "gs.nn.utils.fuse_conv_bn_weights gs.nn.utils.fuse_linear_bn_eval "
        "gs.nn.utils.fuse_linear_bn_weights"
    ),
    "test_nn_reparametrization.py::test_removal": "gs.nn.utils.remove_spectral_norm "
    "gs.nn.utils.remove_weight_norm",
    "test_nn_reparametrization.py::test_spectral_norm_finds_the_largest_singular_value": (
        "gs.nn.utils.spectral_norm"
    ),
    "test_nn_reparametrization.py::test_weight_norm_separates_length_and_direction": (
        "gs.nn.utils.weight_norm"
    ),
    "test_nn_state.py::test_clip_grad_norm": "gs.nn.utils.clip_grad_norm_",
    "test_nn_state.py::test_clip_grad_value": "gs.nn.utils.clip_grad_value_",
    "test_nn_state.py::test_parameters_as_vector": "gs.nn.utils.parameters_to_vector "
    "gs.nn.utils.vector_to_parameters",
    "test_pool_windows.py::test_unpooling_undoes_pooling_but_for_the_others": "F.max_unpool1d "
    "F.max_unpool3d",
    "test_random.py::test_moments": "gs.bernoulli gs.randint",
    "test_random.py::test_multinomial_follows_the_weights": "gs.multinomial",
    "test_random.py::test_normal_of_tensors": "gs.normal",
    "test_random.py::test_permutations_are_uniform": "gs.randperm",
    "test_random.py::test_generators_are_independent_and_resume": "gs.get_rng_state "
    "gs.set_rng_state gs.initial_seed gs.seed",
    "test_random_distributions.py::test_cauchy": "Tensor.cauchy_",
    "test_random_distributions.py::test_exponential": "Tensor.exponential_",
    "test_random_distributions.py::test_geometric": "Tensor.geometric_",
    "test_random_distributions.py::test_integers": "Tensor.random_",
    "test_random_distributions.py::test_log_normal": "Tensor.log_normal_",
    "test_random_distributions.py::test_like_and_options": "gs.rand_like gs.randint_like "
    "gs.randn_like",
    "test_random_distributions.py::test_poisson": "gs.poisson",
    "test_inplace.py::test_random_filling_keeps_strides_and_follows_the_seed": "Tensor.bernoulli_ "
    "Tensor.normal_ Tensor.uniform_",
    "test_random_noise.py::test_feature_alpha_dropout_drops_whole_channels": (
        "F.feature_alpha_dropout"
    ),
    "test_random_noise.py::test_moments": "F.gaussian_dropout F.gaussian_noise F.rrelu",
    "test_resampling.py::test_rearrangements_undo_each_other": "F.depth_to_space",
    "test_rnn_packing.py::test_lengths_and_masks": "gs.nn.utils.rnn.length_mask "
    "gs.nn.utils.rnn.mask_lengths",
    "test_rnn_packing.py::test_pack_and_unpack": "gs.nn.utils.rnn.pack_padded_sequence "
    "gs.nn.utils.rnn.pack_sequence gs.nn.utils.rnn.pad_packed_sequence "
    "gs.nn.utils.rnn.unpack_sequence",
    "test_rnn_packing.py::test_pad_and_unpad": "gs.nn.utils.rnn.pad_sequence "
    "gs.nn.utils.rnn.unpad_sequence",
    "test_runtime.py::test_show_config": "gs.show_config",
    "test_runtime.py::test_thread_count_from_the_environment": "gs.get_num_threads",
    "test_runtime.py::test_denormals_are_zero_inside_kernels_only": "gs.set_num_threads",
    "test_tensor_printing.py::test_prints_as_pytorch": "gs.set_printoptions",
    "test_tensor_queries.py::test_fork_of_the_generator": "gs.random.fork_rng",
    "test_tensor_queries.py::test_principal_components": "gs.pca_lowrank",
    "test_tensor_queries.py::test_the_largest_singular_values": "gs.svd_lowrank",
    "test_tensor_queries.py::test_what_a_tensor_is": "gs.get_device gs.is_complex gs.is_nonzero "
    "gs.is_same_size gs.is_signed Tensor.is_cpu Tensor.is_cuda",
    "test_tensor_queries.py::test_windows": "gs.bartlett_window gs.blackman_window "
    "gs.hamming_window gs.hann_window gs.kaiser_window",
    "test_train_doctor.py::test_healthy_models": "gs.doctor",
    "test_train_loops.py::test_freeze_and_unfreeze": "gs.nn.utils.freeze gs.nn.utils.unfreeze",
    "test_images.py::test_adjustments_equal_pillow": "gs.images.adjust_brightness "
    "gs.images.adjust_contrast gs.images.adjust_saturation",
    "test_images.py::test_adjustments_by_hand": "gs.images.adjust_hue",
    "test_images.py::test_affine_by_whole_pixels": "gs.images.affine",
    "test_images.py::test_affine_moves_points": "gs.images.affine_matrix",
    "test_images.py::test_crop_and_flip": "gs.images.crop gs.images.flip",
    "test_images.py::test_equalize_histogram": "gs.images.equalize_histogram",
    "test_images.py::test_files": "gs.images.read gs.images.write",
    "test_images.py::test_grey_and_rgb": "gs.images.to_grey gs.images.to_rgb",
    "test_images.py::test_hsv": "gs.images.hsv_to_rgb gs.images.rgb_to_hsv",
    "test_images.py::test_resize_equals_pillow": "gs.images.resize",
    "test_images.py::test_rotate": "gs.images.rotate",
    "test_images.py::test_warp": "gs.images.warp",
    "test_images_filters.py::test_bilateral": "gs.images.bilateral_filter",
    "test_images_filters.py::test_canny_of_a_square": "gs.images.canny",
    "test_images_filters.py::test_convolve": "gs.images.convolve",
    "test_images_filters.py::test_gaussian_blur": "gs.images.gaussian_blur",
    "test_images_filters.py::test_median": "gs.images.median_filter",
    "test_images_filters.py::test_morphology": "gs.images.dilate gs.images.erode",
    "test_images_filters.py::test_opening_and_closing": "gs.images.closing gs.images.opening",
    "test_images_filters.py::test_pyramids": "gs.images.collapse_pyramid "
    "gs.images.gaussian_pyramid gs.images.laplacian_pyramid",
    "test_images_filters.py::test_sharpening": "gs.images.sharpen gs.images.unsharp_mask",
    "test_images_filters.py::test_sobel_and_laplacian": "gs.images.laplacian gs.images.sobel",
    "test_images_restoration.py::test_draw_boxes": "gs.images.draw_boxes",
    "test_images_restoration.py::test_gaussian_noise": "gs.images.add_gaussian_noise",
    "test_images_restoration.py::test_nms": "gs.images.nms",
    "test_images_restoration.py::test_overlay_mask": "gs.images.overlay_mask",
    "test_images_restoration.py::test_salt_and_pepper": "gs.images.add_salt_and_pepper",
    "test_images_restoration.py::test_total_variation_finds_the_smallest_energy": (
        "gs.images.denoise_total_variation"
    ),
    "test_images_restoration.py::test_wiener_undoes_a_known_blur": (
        "gs.images.wiener_deconvolution"
    ),
}
