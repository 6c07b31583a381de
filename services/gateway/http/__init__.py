"""The gateway's HTTP side: commands in, views out, events live. 127.0.0.1 by default, a token for everything."""
