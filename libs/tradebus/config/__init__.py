"""Settings models, secret files, redaction."""
