"""Fleets that follow their work: the decision, what it is taken from, its acts, its price."""
