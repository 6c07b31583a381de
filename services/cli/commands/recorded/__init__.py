"""Commands about runs that were made: runs, report, compare, why."""
