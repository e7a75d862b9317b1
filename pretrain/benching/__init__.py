"""What :mod:`pretrain.bench` measures: steps, peers, the input pipeline, whole runs."""
