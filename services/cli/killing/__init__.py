"""`tradebus kill`: the switch, and the brokers themselves where execution does not answer."""
