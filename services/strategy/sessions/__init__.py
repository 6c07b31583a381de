"""Sessions come and go, also where the bus has lost the command."""
