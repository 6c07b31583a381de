"""The service shell: consumer loop, paced merging, chores, health, logging, metrics, strategy workers, embedded servers."""
