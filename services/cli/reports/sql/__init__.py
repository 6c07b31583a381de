"""The statements behind the CLI's figures."""
