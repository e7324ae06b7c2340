"""EventBridge Scheduler without I/O: expressions, and when each schedule is due."""
