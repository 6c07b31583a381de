"""What only the book on Postgres needs: addresses that may be shown, the connection that stands ready."""
