# SPDX-License-Identifier: Apache-2.0
"""Pictures of trainings, models and what they see, by matplotlib.

Every ``plot_`` function draws on ``ax`` (or a new figure) and returns the figure, so that
``plot_history(history).savefig("curves.png")`` is all a program needs. ``pip install
'gradsmith[viz]'`` brings matplotlib and Pillow.
"""

from gradsmith.viz.animation import TrainingGif as TrainingGif
from gradsmith.viz.animation import save_gif as save_gif
from gradsmith.viz.browser import playground as playground
from gradsmith.viz.curves import plot_confusion_matrix as plot_confusion_matrix
from gradsmith.viz.curves import plot_curves as plot_curves
from gradsmith.viz.curves import plot_history as plot_history
from gradsmith.viz.curves import plot_learning_rates as plot_learning_rates
from gradsmith.viz.curves import plot_precision_recall as plot_precision_recall
from gradsmith.viz.curves import plot_roc as plot_roc
from gradsmith.viz.explain import grad_cam as grad_cam
from gradsmith.viz.explain import plot_attention as plot_attention
from gradsmith.viz.explain import saliency as saliency
from gradsmith.viz.graph import draw_graph as draw_graph
from gradsmith.viz.landscape import plot_loss_surface as plot_loss_surface
from gradsmith.viz.landscape import plot_optimizer_paths as plot_optimizer_paths
from gradsmith.viz.pictures import image_grid as image_grid
from gradsmith.viz.pictures import plot_boxes as plot_boxes
from gradsmith.viz.pictures import plot_feature_maps as plot_feature_maps
from gradsmith.viz.pictures import plot_filters as plot_filters
from gradsmith.viz.pictures import plot_masks as plot_masks
from gradsmith.viz.pictures import reconstruction_rows as reconstruction_rows
from gradsmith.viz.planes import plot_decision_boundary as plot_decision_boundary
from gradsmith.viz.planes import plot_embeddings as plot_embeddings
from gradsmith.viz.planes import plot_latent_walk as plot_latent_walk
from gradsmith.viz.planes import plot_value_grid as plot_value_grid
