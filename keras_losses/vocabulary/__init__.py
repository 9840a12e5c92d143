"""Head layers of language models and their loss, which compute the logits in chunks to save memory."""

from keras_losses.vocabulary.head import VocabularyEmbedding, VocabularyHead
from keras_losses.vocabulary.loss import VocabularyCrossentropy

__all__ = ["VocabularyCrossentropy", "VocabularyEmbedding", "VocabularyHead"]
