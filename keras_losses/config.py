"""Settings of the library as a whole."""

_validate = True


def validate_values(enabled: bool) -> None:
    """Turn the checks of the values of labels and predictions on (the default) or off.

    The checks run in eager mode only: a compiled graph never pays for them. Shapes and hyper-parameters
    are always checked.

    Example:

    >>> import keras_losses
    >>> keras_losses.config.validate_values(False)
    >>> keras_losses.config.values_are_validated()
    False
    >>> keras_losses.config.validate_values(True)
    """
    global _validate
    _validate = bool(enabled)


def values_are_validated() -> bool:
    """Return whether the values of labels and predictions are checked in eager mode."""
    return _validate
