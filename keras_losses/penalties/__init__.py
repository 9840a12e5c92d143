"""Penalties: what a model pays for its predictions, its gradients in the inputs, or its weights.

A penalty on predictions or inputs is a loss with one value per sample, and therefore a term of a sum, with a
weight, a name and the sample weights of the sum. A penalty on weights has no samples; it is a regularizer of
Keras, and is logged as `regularization`.
"""
