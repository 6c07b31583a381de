"""What a process is to the machine and to the others of its kind: its name, its memory."""
