"""What a loss shows to its users and to the authors of new losses."""

from keras_losses import FocalLoss

ARGUMENTS = {
    "alpha",
    "gamma",
    "pos_weight",
    "class_gamma",
    "from_logits",
    "multi_label",
    "label_smoothing",
    "class_weight",
    "ignore_class",
    "axis",
}
OF_KERAS = {"name", "reduction", "dtype", "call", "get_config", "from_config"}
DESCRIPTION = {"card", "hyperparameters"}
HOOKS = {
    "align",
    "check",
    "mark_invalid",
    "validate",
    "pools_batch",
    "pools_pixels",
    "per_sample",
    "term",
    "class_terms",
    "id_terms",
    "output_terms",
    "adjusted",
}
HELPERS = {"convert", "predictions", "compute_dtype"}


def test_public_attributes():
    """Every name without an underscore is an argument, Keras's, or documented for authors of losses."""
    public = {name for name in dir(FocalLoss()) if not name.startswith("_")}
    assert public == ARGUMENTS | OF_KERAS | DESCRIPTION | HOOKS | HELPERS
