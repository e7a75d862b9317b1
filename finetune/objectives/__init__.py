"""What one step of stage two computes: models under their losses."""
