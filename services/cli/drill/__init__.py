"""The drill: the product's services in simulated time, at an exchange that keeps its own book, under every fault."""
