"""Stage two: affect recognition on pretrained encoders."""
