"""The parts of the one loop over the bus (`tradebus.runtime.consumer`)."""
