"""What execution decides, without I/O."""
