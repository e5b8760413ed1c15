"""Doctor: what went wrong with a fine-tuning, read off its logs or its plan, and what to do."""
