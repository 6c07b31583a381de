"""From who is asked because of an entry to what of the answers is stored: what is begun with, who is waited for."""
