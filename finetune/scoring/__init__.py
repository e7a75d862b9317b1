"""From a prediction table and labels to scores: rows joined, metrics chosen, intervals, a text."""
