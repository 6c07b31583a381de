"""Risk: what a session may enter and when it must get out. Pure: state and a fact in, state and verdicts out."""
