"""Decoders: from the statistic of each neuron to the value that drove them."""
