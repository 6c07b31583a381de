"""Whether the session makes entries at all."""
