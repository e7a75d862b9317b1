"""The masked autoencoder: encoder, masking, decoder and pixel reconstruction."""
