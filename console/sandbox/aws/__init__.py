"""The sandbox's AWS: moto's server, with what it lacks and the console's calls need."""
