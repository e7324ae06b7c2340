"""Dead letters: given-up records wherever a consumer's failures go, and their way back."""
