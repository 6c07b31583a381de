"""The sandbox's exchange in this process, and a broker in front of it whose network loses, delays and repeats."""
