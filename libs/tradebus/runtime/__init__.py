"""The service shell: consumer loop, paced merging, chores, health, logging, metrics, workers, embedded servers."""
