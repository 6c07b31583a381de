"""A run as one HTML file that needs nothing else: pictures are SVG, colours follow the reader's light or dark."""
