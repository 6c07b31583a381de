"""A thousand sessions that follow one opinion: how fast their orders leave."""
