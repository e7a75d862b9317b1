"""Convolutional trunks of the recognisers: from normalised images to features."""
