"""The service shell: run loop, signals, health, logging, metrics, embedded servers, paced merging."""
