"""Heads of language models whose logits are never whole in memory, and their loss."""

from keras_losses.vocabulary.head import VocabularyEmbedding, VocabularyHead
from keras_losses.vocabulary.loss import VocabularyCrossentropy

__all__ = ["VocabularyCrossentropy", "VocabularyEmbedding", "VocabularyHead"]
