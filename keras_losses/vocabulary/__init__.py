"""Heads of language models whose logits are never whole in memory, and their loss."""

from keras_losses.vocabulary.loss import VocabularyCrossentropy, VocabularyEmbedding, VocabularyHead

__all__ = ["VocabularyCrossentropy", "VocabularyEmbedding", "VocabularyHead"]
