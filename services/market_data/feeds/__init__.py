"""Where market data comes from: recorded and generated days (`recorded`), a broker's sockets (`live`)."""
