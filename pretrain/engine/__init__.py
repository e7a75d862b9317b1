"""The training engine: it knows steps, files and processes, and no model or data set."""
