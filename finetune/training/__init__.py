"""The parts of a run of stage two that are neither model nor loss."""
