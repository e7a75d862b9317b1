"""What a model's folder says, and which published file is which."""
