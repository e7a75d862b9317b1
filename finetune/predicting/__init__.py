"""From a model and a list of images to a prediction table: the one step that needs torch."""
