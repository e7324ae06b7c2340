"""FIFO topics of SNS: what they remember and what they refuse."""
