"""The journals of a book as files: `tradebus export`."""
