"""What docker/up and docker/verify share: the container engine, and the cluster that compose.yaml describes."""
