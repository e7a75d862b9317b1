"""Images on their way to the model: sources, decoding, order, augmentation, batches."""
