"""Files the sandbox can be made from: instrument masters, history."""
